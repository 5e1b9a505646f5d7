import type { Request } from 'express'
import type { Connection } from '../../server/src/websocket/connection.ts'
import type { Authenticate } from '../../server/src/clients/access.ts'
import { Node } from '../../server/src/node/node.ts'
import { resolveOptions, type BroadcasterOptions } from '../../server/src/options.ts'
import { parseClientMessage } from '@broadcaster/protocol'
import type { Answer } from '../../server/src/longpoll/answers.ts'
import type { Logger } from '../../server/src/logger.ts'
import type { NodeBackend } from './backend.ts'
import { accepted, endOf } from './credentials.ts'
import type { SimulatedLink } from './link.ts'
import type { World } from './world.ts'

/** A socket or a request, which ends when the process of its node ends. */
export interface Attached {
  /** The process of the node has ended. */
  nodeDied(): void
}

export type MakeBackend = (name: string, logger: Logger) => NodeBackend

/** A server process: the real core, without Express and `ws`. */
export class SimulatedNode {
  readonly name: string
  readonly backend: NodeBackend
  readonly attached = new Set<Attached>()
  isAlive = true
  isLeaving = false
  readonly #node: Node
  readonly #world: World

  constructor(world: World, makeBackend: MakeBackend, name: string, options: BroadcasterOptions) {
    this.#world = world
    this.name = name
    const pause = (): Promise<void> =>
      new Promise((resolve) => setTimeout(resolve, world.random.between(0, 5)))
    const log = (fields: object, message: string): void =>
      world.trace?.add(name, `${message} ${said(fields)}`)
    const fail = (fields: object, message: string): void => {
      log(fields, message)
      // Each broker is one server, so the nodes must not find a difference.
      if (message.includes('same order')) world.fail(name, message)
    }
    const logger = { debug: log, info: log, warn: log, error: fail }
    this.backend = makeBackend(name, logger)
    this.#node = new Node(
      resolveOptions({
        canConnect: (auth) => pause().then(() => accepted(auth)) as Promise<boolean>,
        canSubscribe: () => pause().then(() => true),
        redis: false,
        logger,
        ...options,
      }),
      this.backend,
    )
    // Rejects if the node is closed before it has connected to the broker.
    this.#node.start().catch(() => {})
  }

  get isHealthy(): boolean {
    return this.isAlive && this.#node.ailment === null
  }

  /** Opens a WebSocket. Returns `null` if the upgrade is refused, for the same reasons as in `webSocketRequests.ts`. */
  connect(link: SimulatedLink): Connection | null {
    if (!this.isAlive || this.#node.isFull || this.#node.isDraining) return null
    return this.#node.connect(link, (auth) => {
      link.endsAt = endOf(auth)
      this.#world.credentials.accepted(auth)
      return this.#node.access.connect(auth, noRequest)
    })
  }

  /** The socket of the connection is gone. */
  gone(connection: Connection): void {
    this.#node.gone(connection)
  }

  /** Handles a long-poll request. */
  async handle(body: string, gone: AbortSignal): Promise<Answer> {
    const { credentials, fail } = this.#world
    const parsed = parseClientMessage(body)
    let sent: Record<string, unknown> | null = null
    const authenticate: Authenticate = (auth) => {
      credentials.accepted(auth)
      return this.#node.access.connect((sent = auth), noRequest)
    }
    const answer = await this.#node.handle(parsed, authenticate, gone, this.#node.revocations.now)
    if (answer.token !== undefined) credentials.began(answer.token, sent)
    else if (parsed.kind !== 'bad' && parsed.token !== undefined && credentials.areOver(parsed.token)) {
      if (answer.status === 200 && answer.body !== '[]')
        fail(this.name, `answers a session whose credentials have ended: ${answer.body}`)
    }
    return answer
  }

  /** Asks the clients of the kit that have credentials for new ones. */
  reauthorize(): Promise<void> {
    return this.#node.removals.reauthorize({ mayBeAsked: true })
  }

  /** Checks that the node holds nothing any more. Call it some time after all clients have left. */
  checkEmpty(): void {
    this.#node.stats().then(
      ({ localSubscriptions, node: { channels, webSockets, waitingPolls } }) => {
        const left = { channels, webSockets, waitingPolls, ...localSubscriptions }
        if (Object.values(left).some((count) => count > 0))
          this.#world.fail(
            this.name,
            `still holds resources of clients that have left: ${JSON.stringify(left)}`,
          )
      },
      (error: unknown) => this.#world.fail(this.name, `has no stats: ${String(error)}`),
    )
  }

  /** `kill -9`. */
  crash(): void {
    this.#world.trace?.add(this.name, 'is killed')
    this.#world.safety.fault(this.backend.held)
    this.#die()
  }

  /** SIGTERM: drains, then ends. */
  async drain(ms: number): Promise<void> {
    this.#world.trace?.add(this.name, `drains for ${ms} ms`)
    this.isLeaving = true
    await this.#node.close(ms)
    if (this.isAlive) this.#world.trace?.add(this.name, 'has drained and ends')
    this.#die()
  }

  #die(): void {
    this.isAlive = false
    this.isLeaving = true
    this.backend.vanish()
    for (const attached of this.attached) attached.nodeDied()
    this.attached.clear()
    // This stops its timers. Nothing else that it does has an effect.
    void this.#node.close(0)
  }
}

/** All server processes, behind a load balancer without sticky sessions or health checks. */
export class Cluster {
  readonly nodes: SimulatedNode[] = []
  onStarted: (node: SimulatedNode) => void = () => {}
  readonly #world: World
  readonly #makeBackend: MakeBackend
  readonly #options: BroadcasterOptions
  #started = 0

  constructor(world: World, makeBackend: MakeBackend, options: BroadcasterOptions) {
    this.#world = world
    this.#makeBackend = makeBackend
    this.#options = options
  }

  start(): SimulatedNode {
    this.#started += 1
    const node = new SimulatedNode(this.#world, this.#makeBackend, `node${this.#started}`, this.#options)
    this.#world.trace?.add(node.name, 'starts')
    this.nodes.push(node)
    this.onStarted(node)
    return node
  }

  /** The nodes that are alive, including those that drain. */
  get living(): SimulatedNode[] {
    return this.nodes.filter((node) => node.isAlive)
  }

  /** The nodes that are alive and do not drain. */
  get staying(): SimulatedNode[] {
    return this.nodes.filter((node) => !node.isLeaving)
  }

  /** The node for the next connection or request, or `null` if there is none. */
  pick(): SimulatedNode | null {
    const { living } = this
    return living.length === 0 ? null : this.#world.random.pick(living)
  }
}

/** The simulated callbacks don't look at the request. */
const noRequest = {} as Request

function said(fields: object): string {
  return Object.values(fields)
    .map((value) => (value instanceof Error ? value.message : JSON.stringify(value)))
    .join(' ')
}
