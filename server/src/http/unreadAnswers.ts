import type { Response } from 'express'

export interface UnreadAnswerLimits {
  /** Bytes that wait for one session, unless a single answer is larger. */
  readonly bufferedBytes: number
  /** Bytes that wait on this node. */
  readonly unreadBytes: number
  /** How long an answer may wait without a byte of it being read, in ms. */
  readonly answerTimeout: number
}

interface Unread {
  readonly res: Response
  readonly session: string
  readonly bytes: number
}

/**
 * The answers to long-poll requests that the network has not taken yet, since their clients do not read them. Where there
 * are too many bytes of them, the connection whose answer has waited longest is dropped. Nothing is lost by that: whoever
 * polls again is answered alike.
 */
export class UnreadAnswers {
  readonly #limits: UnreadAnswerLimits
  /** The oldest is the first. */
  readonly #all = new Set<Unread>()
  readonly #bySession = new Map<string, Set<Unread>>()
  #bytes = 0

  constructor(limits: UnreadAnswerLimits) {
    this.#limits = limits
  }

  get size(): number {
    return this.#all.size
  }

  /** The answer has been written; `session` is its token, and is '' for all who have none. */
  add(res: Response, session: string, bytes: number): void {
    // The usual case: the kernel has all of it.
    if (res.writableLength === 0) return
    const unread = { res, session, bytes }
    const ofSession = this.#bySession.get(session) ?? new Set()
    const { bufferedBytes, unreadBytes } = this.#limits
    // Of strangers nobody knows whether they are the same client.
    if (session !== '') this.#drop(ofSession, sumOf(ofSession) + bytes - bufferedBytes)
    this.#drop(this.#all, this.#bytes + bytes - unreadBytes)
    this.#bySession.set(session, ofSession.add(unread))
    this.#all.add(unread)
    this.#bytes += bytes
    const restore = this.#setTimeout(res)
    res.prependOnceListener('finish', restore)
    res.once('close', () => this.#remove(unread))
  }

  /** Drops the oldest ones, until they are fewer by so many bytes. */
  #drop(answers: ReadonlySet<Unread>, excess: number): void {
    let left = excess
    for (const unread of answers) {
      if (left <= 0) return
      left -= unread.bytes
      this.#remove(unread)
      unread.res.req.socket.destroy()
    }
  }

  #remove(unread: Unread): void {
    if (!this.#all.delete(unread)) return
    this.#bytes -= unread.bytes
    const ofSession = this.#bySession.get(unread.session)!
    ofSession.delete(unread)
    if (ofSession.size === 0) this.#bySession.delete(unread.session)
  }

  /** Node's timeout of a socket starts again whenever a part of a write has been taken. Returns what restores the one from before. */
  #setTimeout(res: Response): () => void {
    const { socket } = res.req
    const before = socket.timeout ?? 0
    const { answerTimeout } = this.#limits
    if (answerTimeout !== Infinity) res.setTimeout(answerTimeout, () => socket.destroy())
    return () => void socket.setTimeout(before)
  }
}

function sumOf(answers: ReadonlySet<Unread>): number {
  let sum = 0
  for (const { bytes } of answers) sum += bytes
  return sum
}
