import {
  reasons,
  type CloseName,
  type GapReason,
  type ServerMessage,
  type Subscribe,
} from '@broadcaster/protocol'
import { Backlog, type BacklogReader } from './backlog.ts'
import { hasLog, type Channel, type Subscriber } from '../channels/channel.ts'
import type { ConnectionHost } from './connection.ts'
import { Deadline } from '../time/deadline.ts'
import { ChannelRefused, isOfBroker, NodeFull } from '../errors.ts'
import { subscribedText, textFrame, type FrameFormat } from '../channels/frames.ts'
import type { SubscribeResult } from '../hub/hub.ts'
import type { Link } from './link.ts'
import { bytesOf, newestWithin, type Entry } from '../channels/log.ts'
import { formatPosition, parsePosition, type Position } from '../channels/position.ts'
import { TOO_MANY_NEW_CHANNELS } from '../clients/refusals.ts'
import type { Moment } from '../clients/revocations.ts'

/** The connection that has the subscriptions. */
export interface SubscribingClient {
  readonly isClosed: boolean
  readonly auth: Record<string, unknown>
  readonly context: unknown
  readonly formerNode: string | null
  close(name: CloseName, reason?: string): void
  send(message: ServerMessage): void
  /** Sends an answer. Unread answers limit how many requests are read. */
  answer(frame: Buffer): void
  /** Calls {@link Subscriptions.catchUp} when all written bytes have left the process. */
  waitForDrain(): void
}

/** The channels of one WebSocket client. It gets their messages from the hub, or from the logs while it is a slow reader. */
export class Subscriptions implements Subscriber, BacklogReader {
  batch: Channel | Channel[] | null = null
  readonly format: FrameFormat
  readonly #host: ConnectionHost
  readonly #link: Link
  readonly #client: SubscribingClient
  /** The value is `null` until Redis has confirmed the subscription. */
  readonly #channels = new Map<string, Channel | null>()
  /** The number of bytes of the names of these channels. */
  #nameBytes = 0
  /** `null` unless the client reads more slowly than messages arrive. */
  #backlog: Backlog | null = null

  constructor(host: ConnectionHost, link: Link, client: SubscribingClient, format: FrameFormat) {
    this.#host = host
    this.#link = link
    this.#client = client
    this.format = format
  }

  get formerNode(): string | null {
    return this.#client.formerNode
  }

  get isClosed(): boolean {
    return this.#client.isClosed
  }

  /** Whether the client gets its messages from the logs, not from the hub. */
  get isLagging(): boolean {
    return this.#backlog !== null
  }

  /** The connection has ended. */
  end(): void {
    // A subscription that is not confirmed yet ends itself when it detects that the connection is closed.
    for (const name of this.#channels.keys()) this.#host.hub.unsubscribe(this, name)
    this.#channels.clear()
    this.#backlog = null
    this.#host.newNames.forget(this)
  }

  // -- requests

  async subscribe(message: Subscribe): Promise<void> {
    const { revocations } = this.#host
    for (const isLast of [false, true]) {
      const begun = revocations.now
      if (!(await this.#trySubscribe(message, begun))) return
      // The channel was revoked while the request was running, maybe after `canSubscribe` had answered. So it is asked again, once.
      if (isLast) return this.#refuse(message.channel, reasons.channelRefused)
    }
  }

  unsubscribe(name: string): void {
    const channel = this.#channels.get(name)
    this.#host.hub.unsubscribe(this, name)
    this.#drop(name)
    if (!channel || this.#backlog === null) return
    this.#backlog.remove(channel)
    // The backlog may have been waiting for this channel.
    this.#client.waitForDrain()
  }

  /** The server takes the channel away. A request that is not confirmed yet detects this itself, and asks the application again. */
  revoke(name: string, reason: string): void {
    if (!this.#channels.get(name)) return
    this.unsubscribe(name)
    if (this.format.positions) this.#client.send({ __type: 'unsubscribed', channel: name, reason })
  }

  // -- what the hub calls

  write(frames: Buffer | string): void {
    if (this.#put(frames)) this.#lag()
  }

  gap(channel: Channel, position: Position, reason: GapReason): void {
    this.#host.counts.gaps[reason] += 1
    if (!this.format.positions) return this.#client.close('gap')
    this.#client.send({ __type: 'gap', channel: channel.name, position: formatPosition(position), reason })
  }

  refused({ name }: Channel): void {
    // A client of the base can not be told. It gets the refusal when it reconnects and subscribes.
    if (this.format.positions) this.revoke(name, reasons.channelRefused)
    else this.#client.close('gap')
  }

  /** Sends the missing messages from the logs, up to the limit of the buffer. */
  catchUp(): void {
    if (this.#backlog === null) return
    if (this.#link.bufferedBytes > 0) return this.#client.waitForDrain()
    const result = this.#backlog.send()
    if (this.isClosed) return
    if (result === 'full') this.#client.waitForDrain()
    if (result === 'done') this.#backlog = null
  }

  // -- slow readers

  send(channel: Channel, entry: Entry): boolean {
    this.#host.counts.deliveries.websocket += 1
    return !this.#put(channel.frame(entry, this.format))
  }

  /**
   * Must be called periodically. If the buffer is over its limit, which may have been lowered, the client is served from the
   * logs. If it reads nothing for too long, its connection is closed.
   */
  sweep(): void {
    if (this.#backlog === null) {
      if (this.#isFull) this.#lag()
    } else if (this.#backlog.isStuck(this.#link, this.#host.limits.laggingTimeout)) {
      const reason = 'Nothing was read for too long'
      this.#host.refused({ kind: 'limit', reason, limit: 'laggingTimeout' }, this.#link)
      this.#client.close('tryAgainLater', reason)
    }
  }

  /** The client reads more slowly than messages arrive. From now on it is served from the logs. */
  #lag(): void {
    // The pending messages are delivered to it first. This may already make it lag.
    this.#host.hub.flush()
    if (this.isLagging || this.isClosed) return
    this.#host.counts.limits.bufferedBytes += 1
    const backlog = new Backlog(this.#host.hub, this)
    for (const channel of this.#channels.values()) {
      if (channel === null) continue
      // Without a log, it can not continue.
      if (!hasLog(channel)) return this.#endForGap()
      backlog.add(channel, this.#host.hub.headOf(channel))
    }
    this.#backlog = backlog
    this.#client.waitForDrain()
  }

  /** Writes frames. Returns whether the buffer is over its limit now. */
  #put(frames: Buffer | string): boolean {
    this.#link.write(frames)
    this.#host.counts.sentBytes.websocket += frames.length
    const { bufferedBytes } = this.#link
    // The common case: the kernel has taken all bytes.
    if (bufferedBytes === 0) return false
    this.#host.budget.add(frames.length)
    return bufferedBytes > this.#host.budget.limit
  }

  /** The client has missed messages, and there is no log of them. */
  #endForGap(): void {
    this.#host.counts.gaps.overflow += 1
    this.#client.close('gap')
  }

  get #isFull(): boolean {
    return this.#link.bufferedBytes > this.#host.budget.limit
  }

  // -- how a subscription begins

  /** Returns whether the channel was revoked meanwhile. In this case, the request has not been answered. */
  async #trySubscribe({ channel: name, position, history }: Subscribe, begun: Moment): Promise<boolean> {
    const { hub, access, limits, newNames, brokerTimeoutMs, revocations } = this.#host
    const { auth, context } = this.#client
    const isTaken = (): boolean => revocations.hasTaken(begun, context, name)
    const refusal = await access.refusal(name, auth, context)
    if (this.isClosed) return false
    if (isTaken()) return true
    if (refusal !== null) {
      this.#refuse(name, refusal)
      return false
    }
    const isResuming = this.format.positions && position !== undefined
    const since = isResuming ? parsePosition(position) : null
    const max = this.format.positions ? Math.min(history ?? 0, limits.historyMessages) : 0
    if (this.format.positions && (history ?? 0) > limits.historyMessages) {
      this.#host.counts.limits.historyMessages += 1
    }
    const held = this.#channels.get(name)
    if (held) {
      const before = max > 0 ? await hub.history(this, held, since ?? hub.headOf(held), max) : []
      if (this.isClosed) return false
      // It was taken away while the other nodes were asked.
      if (this.#channels.get(name) !== held) return true
      // A lagging client has not received all messages up to the head.
      const head = this.#backlog?.positionIn(held) ?? hub.headOf(held)
      this.#confirm({ channel: held, head, missed: [], gap: null, history: before }, false, history)
      return false
    }
    const nameBytes = Buffer.byteLength(name)
    const isFull = this.#channels.size >= limits.channelsPerConnection
    if (isFull || this.#nameBytes + nameBytes > limits.channelNamesBytes) {
      this.#refuse(name, isFull ? reasons.tooManyChannels : reasons.namesTooLong)
      return false
    }
    // The channel counts for `channelsPerConnection` before Redis has confirmed it.
    this.#channels.set(name, null)
    this.#nameBytes += nameBytes
    let isTooLate = false
    try {
      if (!hub.holds(name) && !(await newNames.turn(this))) {
        this.#drop(name)
        this.#host.refused(TOO_MANY_NEW_CHANNELS, this.#link)
        this.#client.send({ __type: 'serverError', channel: name, reason: reasons.tooManyNewChannels })
        return false
      }
      if (this.isClosed) return false
      const beginning = { since, history: max }
      await hub.subscribe(this, name, beginning, new Deadline(brokerTimeoutMs), (result) => {
        isTooLate = this.isClosed || isTaken()
        if (isTooLate) return
        this.#channels.set(name, result.channel)
        const isUnreadable = isResuming && since === null
        this.#confirm(
          this.#withRoom(isUnreadable ? { ...result, gap: 'expired' } : result, since),
          isResuming,
          history,
        )
      })
      if (isTooLate) {
        hub.unsubscribe(this, name)
        this.#drop(name)
      }
      return isTooLate && !this.isClosed
    } catch (error) {
      hub.unsubscribe(this, name)
      this.#drop(name)
      if (error instanceof ChannelRefused) this.#refuse(name, reasons.channelRefused)
      else if (error instanceof NodeFull) this.#refuse(name, reasons.nodeFull)
      else if (isOfBroker(error)) {
        this.#client.send({ __type: 'serverError', channel: name, reason: reasons.brokerUnavailable })
      } else throw error
      return false
    }
  }

  /** If the buffer has no room for a replay, the client becomes a slow reader, and gets the replay after the answer, in parts. */
  #withRoom(result: SubscribeResult, since: Position | null): SubscribeResult {
    if (since === null || this.#hasRoomFor(result.missed)) return result
    this.#lag()
    return { ...result, head: since, missed: [] }
  }

  #hasRoomFor(missed: readonly Entry[]): boolean {
    let room = this.#room
    return missed.every(({ bytes }) => (room -= bytes) >= 0)
  }

  get #room(): number {
    return this.#host.budget.limit - this.#link.bufferedBytes
  }

  /** `asked` is the history for which the client has asked, if it has. */
  #confirm(result: SubscribeResult, isResuming: boolean, asked: number | undefined): void {
    const { channel, head, missed, gap } = result
    if (this.isClosed) return
    if (this.#backlog !== null) {
      // As in `#lag`, it can not continue without a log.
      if (!hasLog(channel)) return this.#endForGap()
      this.#backlog.add(channel, head)
    }
    if (!this.format.positions) {
      return this.#client.answer(textFrame(`{"__type":"subscribeOk","channel":${channel.nameJson}}`))
    }
    const history = asked === undefined ? null : newestWithin(result.history, this.#room - bytesOf(missed))
    const { counts } = this.#host
    counts.deliveries.websocket += missed.length + (history?.length ?? 0)
    if (isResuming) counts.recoveries[gap ?? 'recovered'] += 1
    const text = subscribedText(channel.nameJson, {
      position: formatPosition(head),
      missed,
      resumed: isResuming ? { gap } : null,
      history,
    })
    this.#client.answer(textFrame(text))
    if (this.#isFull) this.#lag()
  }

  #drop(name: string): void {
    if (this.#channels.delete(name)) this.#nameBytes -= Buffer.byteLength(name)
  }

  #refuse(channel: string, reason: string): void {
    this.#host.refused({ kind: 'channel', reason, channel }, this.#link)
    this.#client.send({ __type: 'subscribeError', channel, reason })
  }
}
