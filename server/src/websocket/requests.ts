import type { BufferBudget } from './bufferBudget.ts'
import type { Link } from './link.ts'
import type { Limits } from '../limits.ts'

/** What may have left the network before a client that is not read any more feels it, in bytes. */
const UNDER_WAY_BYTES = 64 * 1024

/** Who answers what a client asks for. */
export interface Requested {
  /** Requests have to wait, since nobody knows yet who asks. */
  readonly isAuthenticating: boolean
  readonly isClosed: boolean
  /** A frame's turn has come. */
  take(frame: string): void
  /** A request about the channel has thrown: a fault of the server's own. */
  failed(channel: string, error: unknown): void
}

/**
 * What one client asks for. It is read from for as long as it has neither asked for much that is not done yet nor left much
 * unread of what it was answered; what had come by then waits, in order.
 */
export class Requests {
  readonly #link: Link
  readonly #limits: Limits
  readonly #budget: BufferBudget
  readonly #requested: Requested
  /** Frames that came when the client had enough to wait for; `null` while it is read from. */
  #waiting: { readonly frames: string[]; next: number; bytes: number } | null = null
  /** The work at hand for each channel, so that answers about one come in order. */
  #queues: Map<string, Promise<void>> | null = null
  #pending = 0
  /** Of the names in these. */
  #pendingBytes = 0
  /** Of answers, counted from when there was room in the buffer. */
  #answerBytes = 0

  constructor(link: Link, limits: Limits, budget: BufferBudget, requested: Requested) {
    this.#link = link
    this.#limits = limits
    this.#budget = budget
    this.#requested = requested
  }

  /** Bytes of frames that wait. */
  get waitingBytes(): number {
    return this.#waiting?.bytes ?? 0
  }

  /**
   * A frame has come. `tooMuch`: more waits now than may, though the client is not read from. `tooMuchForAll`: more than may
   * while so much waits of all clients.
   */
  receive(frame: string): 'taken' | 'tooMuch' | 'tooMuchForAll' {
    if (this.#waiting === null) {
      if (!this.#isEnough) {
        this.#requested.take(frame)
        return 'taken'
      }
      this.#waiting = { frames: [], next: 0, bytes: 0 }
      this.#link.pause()
    }
    this.#waiting.frames.push(frame)
    this.#waiting.bytes += frame.length
    this.#budget.add(frame.length)
    const { bufferedBytes, messageBytes } = this.#limits
    // More than that only comes where little has become much, as compressed frames do.
    if (this.#waiting.bytes > Math.max(bufferedBytes, UNDER_WAY_BYTES + messageBytes)) return 'tooMuch'
    return this.#budget.isShort && this.#waiting.bytes > this.#budget.limit ? 'tooMuchForAll' : 'taken'
  }

  /** Something that frames may have waited for is over. */
  goOn(): void {
    while (this.#waiting !== null && !this.#requested.isClosed && !this.#isEnough) {
      const { frames, next } = this.#waiting
      const frame = frames[next]
      if (frame === undefined) return this.end()
      // A list of thousands would be moved for every one of them.
      frames[next] = ''
      this.#waiting.next += 1
      this.#waiting.bytes -= frame.length
      this.#requested.take(frame)
    }
  }

  /** Nothing waits any more: what still comes is what the client says to its end. */
  end(): void {
    if (this.#waiting === null) return
    this.#waiting = null
    this.#link.resume()
  }

  /** Requests about one channel one after the other, those about others meanwhile. */
  inOrder(channel: string, request: () => Promise<void>): void {
    this.#pending += 1
    this.#pendingBytes += channel.length
    const run = async (): Promise<void> => {
      try {
        if (!this.#requested.isClosed) await request()
      } catch (error) {
        this.#requested.failed(channel, error)
      }
      this.#pending -= 1
      this.#pendingBytes -= channel.length
      if (this.#pending === 0) this.#queues = null
      else if (this.#queues?.get(channel) === queue) this.#queues.delete(channel)
      this.goOn()
    }
    this.#queues ??= new Map()
    const earlier = this.#queues.get(channel)
    const queue = earlier === undefined ? run() : earlier.then(run)
    this.#queues.set(channel, queue)
  }

  /** An answer was written: whether the client should have read some of them before it asks for more. */
  answered(bytes: number): boolean {
    this.#answerBytes += bytes
    if (this.#answerBytes <= this.#limits.bufferedBytes) return false
    if (this.#link.bufferedBytes > this.#limits.bufferedBytes) return true
    // It has read the others.
    this.#answerBytes = this.#link.bufferedBytes
    return false
  }

  /** The client has read all of it. */
  drained(): void {
    this.#answerBytes = 0
    this.goOn()
  }

  get #isEnough(): boolean {
    const { bufferedBytes, channelsPerConnection } = this.#limits
    return (
      this.#requested.isAuthenticating ||
      this.#answerBytes > bufferedBytes ||
      this.#pendingBytes > bufferedBytes ||
      this.#pending >= 2 * channelsPerConnection
    )
  }
}
