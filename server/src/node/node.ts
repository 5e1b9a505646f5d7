import { readFallback, type Auth, type Parsed } from '@broadcaster/protocol'
import { Access, type Authenticate } from '../clients/access.ts'
import { Admission } from '../clients/admission.ts'
import { nodeFull, nodeUnavailable, type Answer } from '../longpoll/answers.ts'
import type { Backend } from '../backends/backend.ts'
import { Connection, type ConnectionHost } from '../websocket/connection.ts'
import type { Link } from '../websocket/link.ts'
import { Connections } from '../websocket/connections.ts'
import { Unauthenticated } from '../websocket/unauthenticated.ts'
import { Endings } from '../clients/endings.ts'
import { NodeControl } from '../cluster/nodeControl.ts'
import { plainCodec, type ControlCodec } from '../control/codec.ts'
import { logFailure } from '../errors.ts'
import type { Abort } from '../longpoll/clientAbort.ts'
import { Fences } from '../clients/fences.ts'
import { NODE_FULL, overLimit } from '../clients/refusals.ts'
import { Counts } from '../metrics/counts.ts'
import { fallbackKey } from '../metrics/fallbacks.ts'
import { Latency } from '../metrics/latency.ts'
import type { Reading } from '../metrics/reading.ts'
import { compressionOf } from '../channels/frames.ts'
import { Hub } from '../hub/hub.ts'
import { LongPoll } from '../longpoll/longpoll.ts'
import { NewNames } from '../clients/newNames.ts'
import { defaultRecovery, type RecoveryOptions, type ResolvedOptions } from '../options.ts'
import { UnreadAnswers } from '../http/unreadAnswers.ts'
import { MissedRevocations } from '../clients/missedRevocations.ts'
import { Revocations, type Moment } from '../clients/revocations.ts'
import { sessionLife } from '../backends/sessions.ts'
import type { Stats } from '../stats.ts'
import { Publisher } from './publisher.ts'
import { Removals } from './removals.ts'

/** How long a request waits for a confirmation of Redis, in ms. */
const BROKER_TIMEOUT_MS = 5000
/** How often a node reports its number of connections, in ms. */
const REPORT_INTERVAL_MS = 2000
/** The log limits for a channel between two polls of a long-poll session, when recovery is off. */
const LONGPOLL_LOG: RecoveryOptions = defaultRecovery

/** One node, independent of the transports and the broker: everything between Express, `ws` and Redis. */
export class Node {
  readonly access: Access
  readonly admission: Admission
  readonly revocations = new Revocations()
  readonly counts = new Counts()
  readonly latency = new Latency()
  readonly publisher: Publisher
  readonly removals: Removals
  readonly #options: ResolvedOptions
  readonly #backend: Backend
  readonly #codec: ControlCodec
  readonly #control: NodeControl
  readonly #hub: Hub
  readonly #connectionHost: ConnectionHost
  readonly connections: Connections
  readonly #unauthenticated: Unauthenticated
  readonly #longPoll: LongPoll
  readonly #missed: MissedRevocations
  readonly #newNames: NewNames
  readonly #fences: Fences
  readonly #endings = new Endings()
  readonly #reporter: NodeJS.Timeout
  #isDraining = false
  #isClosed = false
  /**
   * The number of sockets in use: with a pending handshake, with a connection, and with a closed connection until the
   * socket is gone.
   */
  sockets = 0
  /** Answers to long-poll requests that have not been read yet. Each counts as a connection. */
  readonly unreadAnswers: UnreadAnswers

  constructor(options: ResolvedOptions, backend: Backend, codec: ControlCodec = plainCodec) {
    const { limits, logger, timeout, recovery, controlChannel, controlNamespace } = options
    this.#options = options
    this.unreadAnswers = new UnreadAnswers(limits, ({ req }, limit) => {
      const { refusals, addresses } = this.admission
      refusals.note(overLimit(limit, 'a long-poll answer was not read'), { address: addresses.of(req).key })
    })
    this.connections = new Connections(limits, this.counts.limits)
    this.#backend = backend
    this.#codec = codec
    this.#fences = new Fences(sessionLife(timeout).pollingMs)
    const { window: windowMs, copies, ...logLimits } = recovery === false ? LONGPOLL_LOG : recovery
    this.#control = new NodeControl({ controlChannel, controlNamespace })
    this.#missed = new MissedRevocations({
      backend,
      codec,
      controlChannel,
      logger,
      apply: (revocation) => this.#control.dispatch(revocation),
      applied: () => this.#longPoll.endPolls(),
    })
    this.#hub = new Hub({
      backend,
      onListening: (downMs) => {
        if (downMs !== null) this.#longPoll.missed()
        void this.#missed.catchUp(downMs)
      },
      logger,
      counts: this.counts,
      latency: this.latency,
      control: this.#control,
      recovery: recovery !== false,
      copies,
      maxPublishedBytes: limits.publishedBytes,
      log: {
        windowMs,
        ...logLimits,
        maxUndeliveredBytes: limits.undeliveredBytes,
        onUndelivered: () => void (this.counts.limits.undeliveredBytes += 1),
      },
      backfillBytes: limits.backfillBytes,
      compression: compressionOf(options.webSocket),
      retentionMs: Math.max(windowMs, sessionLife(timeout).idleMs),
      maxChannels: limits.channels,
    })
    this.#unauthenticated = new Unauthenticated(limits.unauthenticated)
    this.admission = new Admission({
      limits,
      limitCounts: this.counts.limits,
      addressOf: options.addressOf ?? null,
      refusalLevel: options.refusalLevel,
      logger,
      sessionLifeMs: sessionLife(timeout).pollingMs,
    })
    this.access = new Access({
      canConnect: options.canConnect,
      canSubscribe: options.canSubscribe,
      channels: options.channels,
      isReserved: (channel) => this.#control.isReserved(channel),
      maxChannelBytes: limits.channelBytes,
      logger,
    })
    this.#newNames = new NewNames(
      limits.newChannelsPerSecond,
      limits.channelsPerConnection,
      this.counts.limits,
    )
    this.#longPoll = new LongPoll({
      hub: this.#hub,
      control: this.#control,
      sessions: backend.sessions,
      access: this.access,
      revocations: this.revocations,
      endings: this.#endings,
      newNames: this.#newNames,
      limits,
      logger,
      counts: this.counts,
      timeoutMs: timeout,
      pollTimeMs: options.pollTime,
      brokerTimeoutMs: BROKER_TIMEOUT_MS,
      recovery: recovery !== false,
      authenticated: (auth) => {
        this.#countSession(auth)
        this.removals.replaceOlder(auth, null)
      },
      isFenced: (client, generation) => this.#fences.isFenced(client, generation),
      isDraining: () => this.#isDraining,
    })
    this.#connectionHost = {
      node: this.#control.node,
      hub: this.#hub,
      access: this.access,
      revocations: this.revocations,
      endings: this.#endings,
      newNames: this.#newNames,
      limits,
      budget: this.connections.budget,
      logger,
      counts: this.counts,
      brokerTimeoutMs: BROKER_TIMEOUT_MS,
      recovery: recovery !== false,
      authenticated: (auth, opened) => {
        this.#unauthenticated.delete(opened)
        this.counts.connects.websocket += 1
        this.removals.replaceOlder(auth, opened)
      },
      refused: (refusal, { address }) =>
        this.admission.refusals.note(refusal, address === null ? {} : { address: address.key }),
      closed: (ended) => this.connections.closed(ended),
    }
    this.removals = new Removals({
      control: this.#control,
      connections: this.connections,
      longPoll: this.#longPoll,
      fences: this.#fences,
      revocations: this.revocations,
      missed: this.#missed,
      sessionEnded: (token) => this.admission.sessions.end(token),
      inBackground: (work) => this.#inBackground(work),
    })
    this.publisher = new Publisher({
      backend,
      channels: options.channels,
      isReserved: (channel) => this.#control.isReserved(channel),
      maxBytes: limits.publishedBytes,
      limitCounts: this.counts.limits,
    })
    this.#reporter = setInterval(() => {
      this.#longPoll.sweep()
      this.admission.sweep()
      this.connections.sweep()
      this.#newNames.sweep()
      this.#report()
    }, REPORT_INTERVAL_MS)
    this.#reporter.unref()
  }

  /** The reason why the node is unhealthy; `null` while it receives messages and accepts new clients. */
  get ailment(): string | null {
    if (this.#isDraining) return 'The node is draining'
    return this.#hub.trouble ?? (this.#hub.isListening ? null : 'There is no connection to Redis')
  }

  /**
   * Whether only a restart of the process can make the node serve clients again. Redis may be away, and the node may be
   * draining: a restart would not help.
   */
  get isDead(): boolean {
    return this.#isClosed || this.#backend.hasEnded
  }

  get isDraining(): boolean {
    return this.#isDraining
  }

  /** Whether WebSockets, waiting polls and unread answers have reached `limits.connections`. */
  get isFull(): boolean {
    const taken = this.sockets + this.#longPoll.waiting + this.unreadAnswers.size
    return taken >= this.#options.limits.connections
  }

  /** @throws {BroadcasterError} `brokerRefused` */
  start(): Promise<void> {
    return this.#hub.start()
  }

  /** Called when a WebSocket is open. */
  connect(link: Link, authenticate: Authenticate): Connection {
    const connection = new Connection(this.#connectionHost, link, authenticate)
    this.connections.add(connection, link)
    this.#unauthenticated.add(connection, link)
    this.sockets += 1
    return connection
  }

  /** Called when the socket of a connection is gone. */
  gone(connection: Connection): void {
    connection.ended()
    this.connections.remove(connection)
    this.#unauthenticated.delete(connection)
    this.sockets -= 1
  }

  /**
   * Whether there is room for one more WebSocket that has not authenticated. It may close an older one to make room.
   */
  makeRoom(): boolean {
    return this.#unauthenticated.makeRoom(({ address }) => {
      this.#connectionHost.refused(overLimit('unauthenticated', 'dropped for a newer connection'), {
        address,
      })
    })
  }

  /** Handles a long-poll request. `begun` is the moment at which the request began. */
  handle(
    parsed: Parsed,
    authenticate: Authenticate,
    abort: Abort,
    begun: Moment,
    id?: string,
  ): Promise<Answer> {
    const type = parsed.kind === 'message' ? parsed.message.__type : null
    if (type === 'poll' && this.isFull) return Promise.resolve(nodeFull(NODE_FULL))
    if (type === 'auth' && this.#isDraining) return Promise.resolve(nodeUnavailable())
    return this.#longPoll.handle(parsed, authenticate, abort, begun, id)
  }

  async stats(): Promise<Stats> {
    const [others, sessions] = await Promise.all([
      this.#backend.connections(this.#control.node),
      this.#backend.sessions.count(),
    ])
    const { localSubscriptions, ...channels } = this.#hub.stats()
    return {
      connections: this.connections.authenticated + others + sessions,
      localSubscriptions,
      node: {
        id: this.#control.node,
        isListening: this.#hub.isListening,
        webSockets: this.connections.authenticated,
        waitingPolls: this.#longPoll.waiting,
        lagging: this.connections.lagging,
        refusedControlMessages: this.#codec.refused,
        queuedBytes: this.connections.budget.measure(),
        unreadBytes: this.unreadAnswers.bytes,
        cutAnswers: this.counts.limits.answerBytes,
        ...channels,
        refusals: this.admission.refusals.counts,
      },
    }
  }

  /** What metrics are read from. It needs nothing of the broker. */
  reading(): Reading {
    return {
      counts: this.counts,
      refusals: this.admission.refusals.counts,
      refusedControlMessages: this.#codec.refused,
      clients: { websocket: this.connections.authenticated, longpoll: this.#longPoll.waiting },
      sessions: this.admission.sessions.size,
      lagging: this.connections.lagging,
      queuedBytes: { websocket: this.connections.budget.measure(), longpoll: this.unreadAnswers.bytes },
      isListening: this.#hub.isListening,
      isHealthy: this.ailment === null,
      ...this.#hub.totals(),
    }
  }

  /** Stops the node. With `drainMs`, clients are first asked to move to another node, spread over that time. */
  async close(drainMs: number): Promise<void> {
    this.#isDraining = true
    clearInterval(this.#reporter)
    this.#longPoll.endPolls()
    this.#control.flush()
    const left = this.#hub.leave().catch(() => {})
    if (drainMs > 0) await this.connections.drain(drainMs)
    this.connections.close()
    this.#missed.close()
    await left
    await this.#backend.leave(this.#control.node).catch(() => {})
    await this.#hub.close()
    this.#isClosed = true
  }

  #countSession(auth: Auth): void {
    this.counts.connects.longpoll += 1
    const fallback = readFallback(auth)
    if (fallback === null) return
    this.counts.fallbacks[fallbackKey(fallback)]! += 1
  }

  /** Runs cleanup that nobody waits for. It may fail while Redis is unavailable. */
  #inBackground(work: Promise<unknown>): void {
    work.catch((error: unknown) =>
      logFailure(this.#options.logger, 'cleanupFailed', error, 'A cleanup in Redis failed'),
    )
  }

  #report(): void {
    this.#inBackground(
      this.#backend.report(this.#control.node, this.connections.authenticated, 3 * REPORT_INTERVAL_MS),
    )
  }
}
