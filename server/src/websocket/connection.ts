import {
  closeCodes,
  cutReason,
  reasons,
  PROTOCOL_VERSION,
  parseClientMessage,
  type Auth,
  type CloseName,
  type GapReason,
  type ServerMessage,
  type Subscribe,
} from '@broadcaster/protocol'
import { readAuthData, type Access, type Authenticate } from '../clients/access.ts'
import { Backlog, type BacklogReader } from './backlog.ts'
import { hasLog, type Channel, type Subscriber } from '../channels/channel.ts'
import { Deadline } from '../time/deadline.ts'
import { messageFrame, subscribedText, textFrame, type FrameFormat } from '../channels/frames.ts'
import { BroadcasterError, ChannelRefused } from '../errors.ts'
import { readClientName, readGeneration } from '../clients/clientName.ts'
import type { Hub, SubscribeResult } from '../hub/hub.ts'
import type { Entry } from '../channels/log.ts'
import type { Link } from './link.ts'
import type { Logger } from '../logger.ts'
import type { Limits } from '../options.ts'
import { withoutInput, type Refusal, type RefusalKind } from '../clients/refusals.ts'
import { formatPosition, parsePosition, type Position } from '../channels/position.ts'
import { Requests, type Requested } from './requests.ts'
import type { Moment, Revocations } from '../clients/revocations.ts'

/** What a connection needs of the server. */
export interface ConnectionHost {
  readonly hub: Hub
  readonly access: Access
  readonly revocations: Revocations
  readonly limits: Limits
  readonly logger: Logger
  /** How long Redis may take to confirm, in ms. */
  readonly brokerTimeoutMs: number
  /** The additions of the protocol are on. */
  readonly recovery: boolean
  /** The connection is authenticated: from now on it counts. */
  authenticated(auth: Auth, connection: Connection): void
  closed(connection: Connection): void
  refused(refusal: Refusal, link: Pick<Link, 'address'>): void
}

/** Shared, so that a connection has a pointer and no object. */
const formats: readonly [FrameFormat, FrameFormat, FrameFormat, FrameFormat] = [
  { positions: false, compressed: false },
  { positions: true, compressed: false },
  { positions: false, compressed: true },
  { positions: true, compressed: true },
]

/** One WebSocket client: authenticates it, and keeps its subscriptions. */
export class Connection implements Subscriber, Requested, BacklogReader {
  batch: Channel | Channel[] | null = null
  format: FrameFormat = formats[0]
  /** What `canConnect` has said of the client. */
  context: unknown = undefined
  client: string | null = null
  generation = 0

  readonly #host: ConnectionHost
  readonly #link: Link
  readonly #requests: Requests
  /** `null` while Redis has not confirmed it yet. */
  readonly #channels = new Map<string, Channel | null>()
  /** `null` unless the client reads more slowly than messages come. */
  #backlog: Backlog | null = null
  #state: 'new' | 'authenticating' | 'open' | 'closed' = 'new'
  #auth: Record<string, unknown> = {}
  #authTimer: NodeJS.Timeout | null
  /** Asks the application, with the request that opened the connection: let go as soon as it has had it. */
  #authenticate: Authenticate | null

  constructor(host: ConnectionHost, link: Link, authenticate: Authenticate) {
    this.#host = host
    this.#link = link
    this.#requests = new Requests(link, host.limits, this)
    this.#authenticate = authenticate
    const { authTimeout } = host.limits
    this.#authTimer = Number.isFinite(authTimeout)
      ? setTimeout(() => this.#closeFor('limit', 'authTimeout'), authTimeout)
      : null
  }

  get isOpen(): boolean {
    return this.#state === 'open'
  }

  get isAuthenticating(): boolean {
    return this.#state === 'authenticating'
  }

  get isClosed(): boolean {
    return this.#state === 'closed'
  }

  /** The client is served from the logs, and not by the hub. */
  get isLagging(): boolean {
    return this.#backlog !== null
  }

  /** A frame has come. */
  receive(text: string): void {
    if (this.#state === 'closed') return
    if (!this.#requests.receive(text)) this.#closeFor('frame', 'badMessage', reasons.tooManyRequests)
  }

  take(text: string): void {
    const { authBytes } = this.#host.limits
    if (this.#state === 'new' && text.length > authBytes + ENVELOPE_BYTES) {
      return this.#refuse(reasons.authTooLarge)
    }
    const parsed = parseClientMessage(text)
    if (parsed.kind === 'bad') return this.#closeFor('frame', 'badMessage', parsed.reason)
    const message = parsed.kind === 'message' ? parsed.message : null
    if (this.#state === 'new') {
      if (message?.__type === 'auth') this.#handshake(message).catch((error: unknown) => this.#fail(error))
      else this.#refuse(reasons.authExpected)
      return
    }
    if (parsed.kind === 'noChannel') {
      const type = parsed.type === 'subscribe' ? 'subscribeError' : 'unsubscribeError'
      return this.#send({ __type: type, channel: '', reason: reasons.channelExpected })
    }
    switch (message?.__type) {
      case 'subscribe':
        return this.#requests.inOrder(message.channel, () => this.#subscribe(message))
      case 'unsubscribe':
        return this.#requests.inOrder(message.channel, async () => {
          this.#unsubscribe(message.channel)
          this.#send({ __type: 'unsubscribeOk', channel: message.channel })
        })
      case 'ping':
        // The base has no answer to it.
        if (this.format.positions) this.#send({ __type: 'pong' })
        return
      default:
        this.#send({ __type: 'unknown' })
    }
  }

  /** Ends the connection from this side. */
  close(name: CloseName, reason: string = closeCodes[name].reason): void {
    if (this.#state === 'closed') return
    this.#link.close(closeCodes[name].code, cutReason(reason))
    this.ended()
  }

  /** The connection has ended, from whichever side. */
  ended(): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#stopAuthTimer()
    // Only what was confirmed: a subscription that is under way ends itself when it sees the state.
    for (const name of this.#channels.keys()) this.#host.hub.unsubscribe(this, name)
    this.#channels.clear()
    this.#backlog = null
    this.#requests.end()
    this.#host.closed(this)
  }

  /** The server cuts off those whose context matches, and who this is nobody knows yet: it comes back with a new request. */
  endUnknown(): void {
    if (this.#state === 'new') this.close('restart')
  }

  /** The server takes the channel away. One that is not confirmed yet is asked for again. */
  revoke(name: string, reason: string = reasons.unsubscribedByServer): void {
    if (!this.#channels.get(name)) return
    this.#unsubscribe(name)
    if (this.format.positions) this.#send({ __type: 'unsubscribed', channel: name, reason })
  }

  failed(channel: string, error: unknown): void {
    this.#host.logger.error({ err: error, channel }, 'A request of a client failed')
    this.#sendServerError(channel, reasons.serverError)
  }

  // -- what the hub calls

  write(frames: Buffer): void {
    this.#link.write(frames)
    if (this.#isFull) this.#lag()
  }

  gap(channel: Channel, position: Position, reason: GapReason): void {
    if (!this.format.positions) return this.close('gap')
    this.#send({ __type: 'gap', channel: channel.name, position: formatPosition(position), reason })
  }

  refused({ name }: Channel): void {
    // A client of the base learns of it when it comes back and asks for the channel.
    if (this.format.positions) this.revoke(name, reasons.channelRefused)
    else this.close('gap')
  }

  /** Sends what the client lacks from the logs, up to the limit of the buffer. */
  catchUp(): void {
    if (this.#backlog === null) return
    if (this.#link.bufferedBytes > 0) return this.#waitForDrain()
    const result = this.#backlog.send()
    if (this.isClosed) return
    if (result === 'full') this.#waitForDrain()
    if (result === 'done') this.#backlog = null
  }

  send(channel: Channel, entry: Entry): boolean {
    this.#link.write(channel.frame(entry, this.format))
    return !this.#isFull
  }

  /** The client reads more slowly than messages come: from here on it is served from the logs. */
  #lag(): void {
    if (this.isLagging || this.isClosed) return
    const backlog = new Backlog(this.#host.hub, this)
    for (const channel of this.#channels.values()) {
      if (channel === null) continue
      // Without a log there is nothing to continue from.
      if (!hasLog(channel)) return this.close('gap')
      backlog.add(channel, this.#host.hub.headOf(channel))
    }
    this.#backlog = backlog
    this.#waitForDrain()
  }

  get #isFull(): boolean {
    return this.#link.bufferedBytes > this.#host.limits.bufferedBytes
  }

  #waitForDrain(): void {
    this.#link.onDrained(() => {
      // Requests come before the backlog, which may never end: the client may want to unsubscribe.
      this.#requests.drained()
      this.catchUp()
    })
  }

  // -- requests

  async #handshake(auth: Auth): Promise<void> {
    const authenticate = this.#authenticate!
    this.#authenticate = null
    this.#state = 'authenticating'
    const data = readAuthData(auth, this.#host.limits.authBytes)
    if (data === null) return this.#refuse(reasons.authTooLarge)
    const { revocations } = this.#host
    const begun = revocations.now
    const answer = await authenticate(data)
    if (this.isClosed) return
    if (!answer.isAllowed) return this.#refuse(reasons.unauthorized)
    // Not asked again here: the request, with what middleware has read for it, is of before.
    if (revocations.hasDisconnected(begun, answer.context)) return this.close('restart')
    this.#stopAuthTimer()
    this.#auth = answer.auth
    this.context = answer.context
    const hasPositions = this.#host.recovery && typeof auth.__v === 'number' && auth.__v >= PROTOCOL_VERSION
    this.format = formats[(hasPositions ? 1 : 0) + (this.#link.isCompressing ? 2 : 0)]!
    this.client = readClientName(auth)
    this.generation = readGeneration(auth)
    this.#state = 'open'
    this.#send(hasPositions ? { __type: 'authOk', __v: PROTOCOL_VERSION } : { __type: 'authOk' })
    this.#host.authenticated(auth, this)
    this.#requests.goOn()
  }

  async #subscribe(message: Subscribe): Promise<void> {
    const { revocations } = this.#host
    for (const isLast of [false, true]) {
      const begun = revocations.now
      if (!(await this.#trySubscribe(message, begun))) return
      // Taken away while it was under way: `canSubscribe` may have answered before. It is asked again, once.
      if (isLast) return this.#refuseChannel(message.channel, reasons.channelRefused)
    }
  }

  /** Returns whether the channel has been taken away meanwhile: then nothing was answered. */
  async #trySubscribe({ channel: name, position }: Subscribe, begun: Moment): Promise<boolean> {
    const { hub, access, limits, brokerTimeoutMs, revocations } = this.#host
    const isTaken = (): boolean => revocations.hasTaken(begun, this.context, name)
    const refusal = await access.refusal(name, this.#auth, this.context)
    if (this.isClosed) return false
    if (isTaken()) return true
    if (refusal !== null) {
      this.#refuseChannel(name, refusal)
      return false
    }
    const held = this.#channels.get(name)
    if (held) {
      // A lagging client has not been sent everything up to the head.
      const head = this.#backlog?.positionIn(held) ?? hub.headOf(held)
      this.#confirm({ channel: held, head, missed: [], gap: null }, false)
      return false
    }
    if (this.#channels.size >= limits.channelsPerConnection) {
      this.#refuseChannel(name, reasons.tooManyChannels)
      return false
    }
    const isResuming = this.format.positions && position !== undefined
    const since = isResuming ? parsePosition(position) : null
    // Takes its place among `channelsPerConnection` while Redis confirms.
    this.#channels.set(name, null)
    let isTooLate = false
    try {
      await hub.subscribe(this, name, since, new Deadline(brokerTimeoutMs), (result) => {
        isTooLate = this.isClosed || isTaken()
        if (isTooLate) return
        this.#channels.set(name, result.channel)
        const isUnreadable = isResuming && since === null
        this.#confirm(
          this.#withRoom(isUnreadable ? { ...result, gap: 'expired' } : result, since),
          isResuming,
        )
      })
      if (isTooLate) {
        hub.unsubscribe(this, name)
        this.#channels.delete(name)
      }
      return isTooLate && !this.isClosed
    } catch (error) {
      hub.unsubscribe(this, name)
      this.#channels.delete(name)
      if (error instanceof ChannelRefused) this.#refuseChannel(name, reasons.channelRefused)
      else if (error instanceof BroadcasterError) this.#sendServerError(name, reasons.brokerUnavailable)
      else throw error
      return false
    }
  }

  /** A client whose buffer has no room for what it missed gets it as a slow reader does: later, from the log. */
  #withRoom(result: SubscribeResult, since: Position | null): SubscribeResult {
    if (since === null || result.missed.length === 0 || !this.#isFull) return result
    this.#lag()
    return { ...result, head: since, missed: [] }
  }

  #confirm({ channel, head, missed, gap }: SubscribeResult, isResuming: boolean): void {
    if (this.isClosed) return
    if (this.#backlog !== null) {
      // As in `#lag`: without a log there is nothing to continue from.
      if (!hasLog(channel)) return this.close('gap')
      this.#backlog.add(channel, head)
    }
    if (!this.format.positions) {
      return this.#answer(textFrame(`{"__type":"subscribeOk","channel":${channel.nameJson}}`))
    }
    const position = formatPosition(head)
    this.#answer(textFrame(subscribedText(channel.nameJson, position, missed, isResuming ? { gap } : null)))
    if (this.#isFull) this.#lag()
  }

  #unsubscribe(name: string): void {
    const channel = this.#channels.get(name)
    this.#host.hub.unsubscribe(this, name)
    this.#channels.delete(name)
    if (!channel || this.#backlog === null) return
    this.#backlog.remove(channel)
    // It may have been the one that the backlog was waiting for.
    this.#waitForDrain()
  }

  #closeFor(kind: RefusalKind, name: CloseName, reason: string = closeCodes[name].reason): void {
    this.#host.refused({ kind, reason: withoutInput(reason) }, this.#link)
    this.close(name, reason)
  }

  #refuse(reason: string): void {
    this.#send({ __type: 'authError', reason })
    this.#closeFor('auth', 'unauthorized', reason)
  }

  #refuseChannel(channel: string, reason: string): void {
    this.#host.refused({ kind: 'channel', reason, channel }, this.#link)
    this.#send({ __type: 'subscribeError', channel, reason })
  }

  #send(message: ServerMessage): void {
    if (this.#state !== 'closed') this.#answer(messageFrame(message))
  }

  #sendServerError(channel: string, reason: string): void {
    this.#send({ __type: 'serverError', channel, reason })
  }

  /** Over the buffer's limit, the client is not read from until it has read. */
  #answer(frame: Buffer): void {
    this.#link.write(frame)
    if (this.#requests.answered(frame.length)) this.#waitForDrain()
  }

  /** Something went wrong that is neither the client's fault nor the broker's. */
  #fail(error: unknown): void {
    this.#host.logger.error({ err: error }, 'Authenticating a client failed')
    this.close('serverError')
  }

  #stopAuthTimer(): void {
    if (this.#authTimer !== null) clearTimeout(this.#authTimer)
    this.#authTimer = null
  }
}

/** What a first frame may have beside the auth data: the reserved keys. */
const ENVELOPE_BYTES = 4096
