import type { BufferBudget } from './bufferBudget.ts'
import type { Link } from './link.ts'
import type { Limits } from '../limits.ts'
import type { Counts } from '../metrics/counts.ts'

/** The number of bytes that may still arrive after the server has stopped reading. */
const IN_FLIGHT_BYTES = 64 * 1024

/** Handles the requests of a client. */
export interface Requested {
  /** Whether the client is being authenticated. Requests wait for that. */
  readonly isAuthenticating: boolean
  readonly isClosed: boolean
  /** Handles a frame. */
  take(frame: string): void
  /** A request for the channel has thrown, because of a bug in the server. */
  failed(channel: string, error: unknown): void
}

/**
 * The requests of one client, with backpressure. The server stops reading from a client that has too many pending requests or too
 * many unread answers. Frames that still arrive wait, in order.
 */
export class Requests {
  readonly #link: Link
  readonly #limits: Limits
  readonly #budget: BufferBudget
  readonly #counts: Counts
  readonly #requested: Requested
  /** The waiting frames; `null` while the server reads from the client. */
  #waiting: { readonly frames: string[]; next: number; bytes: number } | null = null
  /** The last pending request of each channel. The requests of a channel run one after the other, so the answers are in order. */
  #queues: Map<string, Promise<void>> | null = null
  #pending = 0
  /** The number of bytes of the channel names in pending requests. */
  #pendingBytes = 0
  /** The number of bytes of answers since the buffer was last known to have room. */
  #answerBytes = 0

  constructor(link: Link, limits: Limits, budget: BufferBudget, counts: Counts, requested: Requested) {
    this.#link = link
    this.#limits = limits
    this.#budget = budget
    this.#counts = counts
    this.#requested = requested
  }

  /** The number of bytes of waiting frames. */
  get waitingBytes(): number {
    return this.#waiting?.bytes ?? 0
  }

  /**
   * Handles a frame, or makes it wait. `tooMuch`: too many bytes wait, although the server does not read from the client.
   * `tooMuchForAll`: too many bytes wait, because the limit is lowered while much waits for all clients.
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
    // More bytes than this can only arrive in compressed frames, which become larger when they are inflated.
    if (this.#waiting.bytes > Math.max(bufferedBytes, IN_FLIGHT_BYTES + messageBytes)) return 'tooMuch'
    return this.#budget.isShort && this.#waiting.bytes > this.#budget.limit ? 'tooMuchForAll' : 'taken'
  }

  /** Handles waiting frames, as far as it is possible now. */
  resume(): void {
    while (this.#waiting !== null && !this.#requested.isClosed && !this.#isEnough) {
      const { frames, next } = this.#waiting
      const frame = frames[next]
      if (frame === undefined) return this.end()
      // `shift` would move thousands of frames for each frame.
      frames[next] = ''
      this.#waiting.next += 1
      this.#waiting.bytes -= frame.length
      this.#requested.take(frame)
    }
  }

  /** Drops the waiting frames and reads on, so that the end of the connection is noticed. */
  end(): void {
    if (this.#waiting === null) return
    this.#waiting = null
    this.#link.resume()
  }

  /** Runs the requests for one channel one after the other. Requests for different channels run at the same time. */
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
      this.resume()
    }
    this.#queues ??= new Map()
    const earlier = this.#queues.get(channel)
    const queue = earlier === undefined ? run() : earlier.then(run)
    this.#queues.set(channel, queue)
  }

  /** An answer was written. Returns whether the client has to read answers before the server reads more requests. */
  answered(bytes: number): boolean {
    const { bufferedBytes } = this.#limits
    const wasOver = this.#answerBytes > bufferedBytes
    this.#answerBytes += bytes
    if (this.#answerBytes <= bufferedBytes) return false
    if (this.#link.bufferedBytes > bufferedBytes) {
      if (!wasOver) this.#counts.limits.bufferedBytes += 1
      return true
    }
    // The client has read the other answers.
    this.#answerBytes = this.#link.bufferedBytes
    return false
  }

  /** The client has read all answers. */
  drained(): void {
    this.#answerBytes = 0
    this.resume()
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
