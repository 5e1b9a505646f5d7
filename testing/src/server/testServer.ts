import {
  authData,
  readClientName,
  readGeneration,
  reasons,
  type Auth,
  type GapReason,
} from '@broadcaster/protocol'
import { ChannelLog } from './channelLog.ts'
import type { ServerClient } from './serverClient.ts'
import { Session } from './session.ts'
import { isUtf8, toText, utf8Bytes } from './text.ts'

export interface Limits {
  /** @default 16384 bytes of `auth` as JSON */
  readonly authBytes: number
  /** @default 512 bytes of the name of a channel, in UTF-8 */
  readonly channelBytes: number
  /** @default 1000 channels of one client */
  readonly channelsPerConnection: number
}

/** The defaults of the real server. */
export const defaultLimits: Limits = { authBytes: 16_384, channelBytes: 512, channelsPerConnection: 1_000 }
/** How many messages a channel keeps: the default of the real server. */
const MAX_MESSAGES = 1_000
/** Channels that the real server, with default options, and Redis have for themselves. */
const RESERVED = /^(broadcaster$|bc:|__(\w*key(space|event)\w*@|redis__:|sentinel__:))/

/** `expiresAt`: the client is accepted until then. It is what `accept(context, { expiresAt })` is on the server. */
export type ConnectAnswer = boolean | { readonly expiresAt: number | Date }
export type CanConnect = (auth: Record<string, unknown>) => ConnectAnswer | Promise<ConnectAnswer>

/** A client that was accepted, and when its credentials end; or why it was refused. */
export type Authenticated = { readonly endsAt: number } | { readonly refusal: string }

let lastRun = 0

/** When the client's credentials end. `null`: it is refused. */
function endOf(answer: ConnectAnswer): number | null {
  if (answer === true) return Infinity
  if (typeof answer !== 'object' || answer === null) return null
  const { expiresAt } = answer
  const ms = expiresAt instanceof Date ? expiresAt.getTime() : expiresAt
  if (typeof ms === 'number' && ms >= 0) return ms
  throw new TypeError(`canConnect: expiresAt has to be in ms since 1970, or a Date, not ${String(expiresAt)}`)
}

/**
 * The rules of the protocol for one node, without sockets, timeouts and Redis. It is a server of its own, because the real one
 * needs Node, and its deliveries wait for timers that tests replace. The conformance suite checks it.
 */
export class TestServer {
  readonly #canConnect: CanConnect
  readonly #limits: Limits
  readonly #run = String(++lastRun)
  readonly #logs = new Map<string, ChannelLog>()
  readonly #clients = new Set<ServerClient>()
  readonly #sessions = new Map<string, Session>()
  readonly #refused = new Set<string>()
  /** The newest generation of each client that has given itself a name. */
  readonly #generations = new Map<string, number>()
  #arrivals = 0
  #tokens = 0

  constructor(canConnect: CanConnect, limits: Limits) {
    this.#canConnect = canConnect
    this.#limits = limits
  }

  get node(): string {
    return `00000000-0000-4000-8000-${this.#run.padStart(12, '0')}`
  }

  log(name: string): ChannelLog {
    let log = this.#logs.get(name)
    if (!log) this.#logs.set(name, (log = new ChannelLog(name, this.#run, MAX_MESSAGES)))
    return log
  }

  session(token: string | undefined): Session | undefined {
    return token === undefined ? undefined : this.#sessions.get(token)
  }

  makeToken(): string {
    return `session-${this.#run}-${++this.#tokens}`.padEnd(20, '-')
  }

  // -- clients

  async authenticate(auth: Auth): Promise<Authenticated> {
    const data = authData(auth)
    if (utf8Bytes(JSON.stringify(data)) > this.#limits.authBytes) return { refusal: reasons.authTooLarge }
    const begun = Date.now()
    try {
      const endsAt = endOf(await this.#canConnect(data))
      if (endsAt === null) return { refusal: reasons.unauthorized }
      return endsAt <= begun ? { refusal: reasons.credentialsExpired } : { endsAt }
    } catch (error) {
      console.error('canConnect failed; the client was refused', error)
      return { refusal: reasons.unauthorized }
    }
  }

  /** The client is authenticated. It replaces its own older connections. */
  join(client: ServerClient, auth: Auth, endsAt: number): void {
    this.#clients.add(client)
    client.endAt(endsAt)
    if (client instanceof Session) this.#sessions.set(client.token, client)
    client.client = readClientName(auth)
    client.generation = readGeneration(auth)
    if (client.client !== null) {
      const newest = Math.max(client.generation, this.#generations.get(client.client) ?? 0)
      this.#generations.set(client.client, newest)
      for (const other of this.#clients) {
        if (other.client === client.client && other.generation < newest) other.end('replaced')
      }
    }
    if (typeof auth.__previous === 'string') this.#sessions.get(auth.__previous)?.end()
  }

  leave(client: ServerClient): void {
    this.#clients.delete(client)
    client.endAt(Infinity)
    if (client instanceof Session) this.#sessions.delete(client.token)
  }

  /** Why the client may not have the channel. `null` if it may. */
  refusal({ channels }: ServerClient, channel: string): string | null {
    if (!isUtf8(channel)) return reasons.channelMalformed
    if (utf8Bytes(channel) > this.#limits.channelBytes) return reasons.channelTooLong
    if (RESERVED.test(channel) || this.#refused.has(channel)) return reasons.channelRefused
    const isFull = channels.size >= this.#limits.channelsPerConnection && !channels.has(channel)
    return isFull ? reasons.tooManyChannels : null
  }

  /** The number of clients of each channel. */
  subscriptions(): Record<string, number> {
    const counts = new Map<string, number>()
    for (const { channels } of this.#clients) {
      for (const channel of channels.keys()) counts.set(channel, (counts.get(channel) ?? 0) + 1)
    }
    return Object.fromEntries(counts)
  }

  // -- what happens to channels and clients

  publish(channel: string, body: unknown): void {
    const log = this.log(channel)
    const entry = log.append(toText(body), ++this.#arrivals)
    for (const client of this.#clientsOf(channel)) client.arrived(log, entry)
  }

  gap(channel: string, reason: GapReason): void {
    const log = this.log(channel)
    log.lose(reason)
    for (const client of this.#clientsOf(channel)) client.missed(log, reason)
  }

  refuse(channel: string): void {
    this.#refused.add(channel)
    for (const client of this.#clientsOf(channel)) client.taken(channel)
  }

  allow(channel: string): void {
    this.#refused.delete(channel)
  }

  /** Ends all connections and sessions. Their clients have to authenticate again. */
  expire(): void {
    for (const client of this.#clients) client.end('expired')
  }

  endSessions(): void {
    for (const session of this.#sessions.values()) session.end()
  }

  #clientsOf(channel: string): ServerClient[] {
    return [...this.#clients].filter(({ channels }) => channels.has(channel))
  }
}
