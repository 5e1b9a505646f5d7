import { readClientName, readFormerNode, readGeneration, type Auth } from '@broadcaster/protocol'
import { sessionId } from '../backends/sessions.ts'
import type { Fences } from '../clients/fences.ts'
import type { MissedRevocations } from '../clients/missedRevocations.ts'
import type { Revocations } from '../clients/revocations.ts'
import type { NodeControl } from '../cluster/nodeControl.ts'
import type { ControlMessageOf, Revocation } from '../control/control.ts'
import { readMatch } from '../input/match.ts'
import type { LongPoll } from '../longpoll/longpoll.ts'
import type { Connection } from '../websocket/connection.ts'
import type { Connections } from '../websocket/connections.ts'
import { checkChannel } from './publisher.ts'

export interface RemovalsSetup {
  readonly control: NodeControl
  readonly connections: Connections
  readonly longPoll: LongPoll
  readonly fences: Fences
  readonly revocations: Revocations
  readonly missed: MissedRevocations
  /** The session with this token has ended. */
  readonly sessionEnded: (token: string) => void
  /** Runs work that nobody waits for. */
  readonly inBackground: (work: Promise<unknown>) => void
}

/**
 * Who has to go, on both transports: clients that the application disconnects, unsubscribes or asks for new credentials, here or on
 * another node, and older connections of a client that has a newer one.
 */
export class Removals {
  readonly #setup: RemovalsSetup

  constructor(setup: RemovalsSetup) {
    this.#setup = setup
    setup.control.register({
      fence: ({ client, generation }) => this.#fenced(client, generation),
      disconnect: (revocation) => this.#disconnected(revocation),
      unsubscribe: (revocation) => this.#unsubscribed(revocation),
      reauthorize: (revocation) => this.#reauthorized(revocation),
    })
  }

  async disconnect(who: object | 'everyone'): Promise<void> {
    const match = readMatch('disconnect', who)
    await this.#publish({ type: 'disconnect', match })
    await this.#setup.longPoll.endSessions(match)
  }

  async unsubscribe(who: object | 'everyone', channel: string): Promise<void> {
    const match = readMatch('unsubscribe', who)
    checkChannel('unsubscribe', channel)
    await this.#publish({ type: 'unsubscribe', match, channel })
    await this.#setup.longPoll.revoke(match, channel)
  }

  async reauthorize(who: object | 'everyone'): Promise<void> {
    const match = readMatch('reauthorize', who)
    await this.#publish({ type: 'reauthorize', match })
    await this.#setup.longPoll.endSessions(match)
  }

  /** Called when a client has authenticated; `connection` is `null` for a long-poll session. Ends what the client had before. */
  replaceOlder(auth: Auth, connection: Connection | null): void {
    const { fences, connections, longPoll, sessionEnded, inBackground } = this.#setup
    const client = readClientName(auth)
    const generation = readGeneration(auth)
    if (client !== null) {
      if (connection !== null && fences.isFenced(client, generation)) return connection.close('replaced')
      if (connection !== null) connections.register(client, connection)
      // The first connection of a client has no older connection to close.
      if (generation > 1) this.#fence(client, generation, readFormerNode(auth))
    }
    const { __previous: previous } = auth
    if (typeof previous !== 'string') return
    sessionEnded(previous)
    inBackground(longPoll.endSession(sessionId(previous)))
  }

  async #publish(revocation: Revocation): Promise<void> {
    const { control, missed } = this.#setup
    await control.publishToAll(await missed.keep(revocation))
  }

  /** `formerNode`: the only node on which an older connection can be. `null`: it can be on any node. */
  #fence(client: string, generation: number, formerNode: string | null): void {
    const { control, inBackground } = this.#setup
    this.#fenced(client, generation)
    if (formerNode === control.node) return
    const fence = { type: 'fence', client, generation } as const
    inBackground(
      formerNode === null ? control.publishToAll(fence) : control.publishToNodeSoon(formerNode, fence),
    )
  }

  #fenced(client: string, generation: number): void {
    const { fences, connections, longPoll } = this.#setup
    fences.add(client, generation)
    connections.replace(client, generation)
    longPoll.fence(client, generation)
  }

  #disconnected(revocation: ControlMessageOf<'disconnect'>): void {
    this.#cutOff(revocation)
    this.#setup.connections.forEach(revocation.match, (connection) => connection.close('disconnected'))
  }

  #reauthorized(revocation: ControlMessageOf<'reauthorize'>): void {
    this.#cutOff(revocation)
    this.#setup.connections.reauthorize(revocation.match)
  }

  #cutOff(revocation: ControlMessageOf<'disconnect' | 'reauthorize'>): void {
    const { missed, revocations, connections, longPoll, inBackground } = this.#setup
    missed.heard(revocation)
    revocations.disconnected(revocation.match)
    connections.endUnauthenticated()
    if (revocation.id === undefined) inBackground(longPoll.endSessions(revocation.match))
  }

  #unsubscribed(revocation: ControlMessageOf<'unsubscribe'>): void {
    const { missed, revocations, connections, longPoll, inBackground } = this.#setup
    missed.heard(revocation)
    const { match, channel, id } = revocation
    revocations.unsubscribed(match, channel)
    connections.forEach(match, (connection) => connection.revoke(channel))
    if (id === undefined) inBackground(longPoll.revoke(match, channel))
  }
}
