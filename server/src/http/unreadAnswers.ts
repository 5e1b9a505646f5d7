import type { Response } from 'express'
import type { LimitName } from '../metrics/counts.ts'

export interface UnreadAnswerLimits {
  /** The maximum number of waiting bytes for one session, unless a single answer is larger. */
  readonly bufferedBytes: number
  /** The maximum number of waiting bytes on this node. */
  readonly unreadBytes: number
  /** The maximum time for which an answer may wait while no byte of it is read, in ms. */
  readonly answerTimeout: number
}

interface Unread {
  readonly res: Response
  readonly session: string
  readonly bytes: number
}

/**
 * The answers to long-poll requests that are still buffered in this process, because their clients do not read them. If
 * there are too many bytes, the connection with the oldest unread answer is closed. No message is lost by that, because
 * the next poll gets the same answer.
 */
export class UnreadAnswers {
  readonly #limits: UnreadAnswerLimits
  readonly #dropped: (res: Response, limit: LimitName) => void
  /** In the order of insertion, so the oldest is the first. */
  readonly #all = new Set<Unread>()
  readonly #bySession = new Map<string, Set<Unread>>()
  #bytes = 0

  /** @param dropped Called with each dropped answer and the name of its limit. */
  constructor(limits: UnreadAnswerLimits, dropped: (res: Response, limit: LimitName) => void) {
    this.#limits = limits
    this.#dropped = dropped
  }

  get size(): number {
    return this.#all.size
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Tracks an answer that has been written. `session` is the token of its session, or '' if it has none. */
  add(res: Response, session: string, bytes: number): void {
    // The common case: the kernel has taken the whole answer.
    if (res.writableLength === 0) return
    const unread = { res, session, bytes }
    const ofSession = this.#bySession.get(session) ?? new Set()
    const { bufferedBytes, unreadBytes } = this.#limits
    // Answers without a session may belong to different clients, so they have no common limit.
    if (session !== '') this.#drop(ofSession, sumOf(ofSession) + bytes - bufferedBytes, 'bufferedBytes')
    this.#drop(this.#all, this.#bytes + bytes - unreadBytes, 'unreadBytes')
    this.#bySession.set(session, ofSession.add(unread))
    this.#all.add(unread)
    this.#bytes += bytes
    const restore = this.#setTimeout(unread)
    res.prependOnceListener('finish', restore)
    res.once('close', () => this.#remove(unread))
  }

  /** Closes the connections of the oldest answers, until at least `excess` bytes are freed. */
  #drop(answers: ReadonlySet<Unread>, excess: number, limit: LimitName): void {
    let left = excess
    for (const unread of answers) {
      if (left <= 0) return
      left -= unread.bytes
      this.#end(unread, limit)
    }
  }

  #end(unread: Unread, limit: LimitName): void {
    this.#remove(unread)
    this.#dropped(unread.res, limit)
    unread.res.req.socket.destroy()
  }

  #remove(unread: Unread): void {
    if (!this.#all.delete(unread)) return
    this.#bytes -= unread.bytes
    const ofSession = this.#bySession.get(unread.session)!
    ofSession.delete(unread)
    if (ofSession.size === 0) this.#bySession.delete(unread.session)
  }

  /**
   * Sets a timeout on the socket, which Node restarts whenever a part of a write is taken. Returns a function that
   * restores the earlier timeout.
   */
  #setTimeout(unread: Unread): () => void {
    const { res } = unread
    const { socket } = res.req
    const before = socket.timeout ?? 0
    const { answerTimeout } = this.#limits
    if (answerTimeout !== Infinity) res.setTimeout(answerTimeout, () => this.#end(unread, 'answerTimeout'))
    return () => void socket.setTimeout(before)
  }
}

function sumOf(answers: ReadonlySet<Unread>): number {
  let sum = 0
  for (const { bytes } of answers) sum += bytes
  return sum
}
