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
import type { Channel, Subscriber } from '../channels/channel.ts'
import { Deadline } from '../time/deadline.ts'
import { messageFrame, subscribedText, textFrame, type FrameFormat } from '../channels/frames.ts'
import { ChannelRefused } from '../errors.ts'
import { readClientName, readGeneration } from '../clients/clientName.ts'
import type { Hub, Place } from '../hub/hub.ts'
import type { Link } from './link.ts'
import type { Limits } from '../options.ts'
import { formatPosition, parsePosition, type Position } from '../channels/position.ts'
import { Requests, type Requested } from './requests.ts'
import type { Moment, Revocations } from '../clients/revocations.ts'

/** What a connection needs of the server. */
export interface ConnectionHost {
  readonly hub: Hub
  readonly access: Access
  readonly revocations: Revocations
  readonly limits: Limits
  /** How long Redis may take to confirm, in ms. */
  readonly brokerTimeoutMs: number
  /** The additions of the protocol are on. */
  readonly recovery: boolean
  /** The connection is authenticated: from now on it counts. */
  authenticated(auth: Auth, connection: Connection): void
  closed(connection: Connection): void
}

/** Shared, so that a connection has a pointer and no object. */
const formats: readonly [FrameFormat, FrameFormat, FrameFormat, FrameFormat] = [
  { positions: false, compressed: false },
  { positions: true, compressed: false },
  { positions: false, compressed: true },
  { positions: true, compressed: true },
]

/** One WebSocket client: authenticates it, and keeps its subscriptions. */
export class Connection implements Subscriber, Requested {
  batch: Channel | Channel[] | null = null
  isLagging = false
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
  /** While lagging: up to where each channel was written. */
  #places: Map<Channel, Position> | null = null
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
      ? setTimeout(() => this.close('authTimeout'), authTimeout)
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

  /** A frame has come. */
  receive(text: string): void {
    if (this.#state === 'closed') return
    if (!this.#requests.receive(text)) this.close('badMessage', 'Too many requests')
  }

  take(text: string): void {
    const { authBytes } = this.#host.limits
    if (this.#state === 'new' && text.length > authBytes + ENVELOPE_BYTES) {
      return this.#refuse(reasons.authTooLarge)
    }
    const parsed = parseClientMessage(text)
    if (parsed.kind === 'bad') return this.close('badMessage', parsed.reason)
    const message = parsed.kind === 'message' ? parsed.message : null
    if (this.#state === 'new') {
      if (message?.__type === 'auth') void this.#handshake(message)
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
    this.#places = null
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

  // -- what the hub calls

  write(frames: Buffer): void {
    this.#link.write(frames)
    if (this.#isFull) this.#lag()
  }

  gap(channel: Channel, reason: GapReason): void {
    if (!this.format.positions) return this.close('gap')
    const position = formatPosition(channel.log!.start)
    this.#send({ __type: 'gap', channel: channel.name, position, reason })
  }

  refused({ name }: Channel): void {
    // A client of the base learns of it when it comes back and asks for the channel.
    if (this.format.positions) this.revoke(name, reasons.channelRefused)
    else this.close('gap')
  }

  /** Goes on from the logs, as far as the buffer's limit allows. */
  catchUp(): void {
    if (this.#places === null) return
    if (this.#link.bufferedBytes > 0) return this.#waitForRoom()
    // What is pending is in the logs already.
    this.#host.hub.flush()
    let hasAll = true
    for (const [channel, place] of this.#places) {
      if (channel.state !== 'live') {
        hasAll = false
        continue
      }
      if (!this.#readLog(channel, place)) return
    }
    if (!hasAll) return
    this.#places = null
    this.isLagging = false
  }

  /** Writes what the channel has after `place`; false if the buffer is full before the end. */
  #readLog(channel: Channel, place: Position): boolean {
    const log = channel.log!
    const isGap = !log.covers(place)
    if (isGap) this.gap(channel, log.startReason)
    if (this.#places === null) return false
    for (const entry of log.after(isGap ? log.start : place)) {
      this.#link.write(channel.frame(entry, this.format))
      this.#places.set(channel, entry)
      if (this.#isFull) {
        this.#waitForRoom()
        return false
      }
    }
    this.#places.set(channel, this.#host.hub.headOf(channel))
    return true
  }

  /** The client reads more slowly than messages come: from here it is served from the logs. */
  #lag(): void {
    if (this.isLagging || this.#state === 'closed') return
    const places = new Map<Channel, Position>()
    for (const channel of this.#channels.values()) {
      if (channel === null) continue
      // Without a log there is nothing to continue from.
      if (channel.log === null) return this.close('gap')
      places.set(channel, this.#host.hub.headOf(channel))
    }
    this.isLagging = true
    this.#places = places
    this.#waitForRoom()
  }

  get #isFull(): boolean {
    return this.#link.bufferedBytes > this.#host.limits.bufferedBytes
  }

  #waitForRoom(): void {
    this.#link.onDrained(() => {
      // Before what was missed, which may be without end: they may want less of it.
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
      // Up to where it was written, which is not the head for one that lags.
      hub.flush()
      const head = this.#places?.get(held) ?? hub.headOf(held)
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
      await hub.subscribe(this, name, since, new Deadline(brokerTimeoutMs), (place) => {
        isTooLate = this.isClosed || isTaken()
        if (isTooLate) return
        this.#channels.set(name, place.channel)
        const isUnreadable = isResuming && since === null
        this.#confirm(this.#withRoom(isUnreadable ? { ...place, gap: 'expired' } : place, since), isResuming)
      })
      if (isTooLate) {
        hub.unsubscribe(this, name)
        this.#channels.delete(name)
      }
      return isTooLate && !this.isClosed
    } catch (error) {
      if (this.isClosed) return false
      this.#channels.delete(name)
      if (error instanceof ChannelRefused) this.#refuseChannel(name, reasons.channelRefused)
      else this.#send({ __type: 'serverError', channel: name, reason: reasons.brokerUnavailable })
      return false
    }
  }

  /** Who has no room for what it missed is given it as any slow reader: from the log, later. */
  #withRoom(place: Place, since: Position | null): Place {
    if (since === null || place.missed.length === 0 || !this.#isFull) return place
    this.#lag()
    return { ...place, head: since, missed: [] }
  }

  #confirm({ channel, head, missed, gap }: Place, isResuming: boolean): void {
    if (this.isClosed) return
    if (this.#places !== null) this.#places.set(channel, head)
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
    if (!channel || this.#places === null) return
    this.#places.delete(channel)
    // It may have been the one that the others were waiting for.
    this.#waitForRoom()
  }

  #refuse(reason: string): void {
    this.#send({ __type: 'authError', reason })
    this.close('unauthorized', reason)
  }

  #refuseChannel(channel: string, reason: string): void {
    this.#send({ __type: 'subscribeError', channel, reason })
  }

  #send(message: ServerMessage): void {
    if (this.#state !== 'closed') this.#answer(messageFrame(message))
  }

  /** Over the buffer's limit, the client is not read from until it has read. */
  #answer(frame: Buffer): void {
    this.#link.write(frame)
    if (this.#requests.answered(frame.length)) this.#waitForRoom()
  }

  #stopAuthTimer(): void {
    if (this.#authTimer !== null) clearTimeout(this.#authTimer)
    this.#authTimer = null
  }
}

/** What a first frame may have beside the auth data: the reserved keys. */
const ENVELOPE_BYTES = 4096
