import type { Session } from './sessions.ts'
import { uptimeMs } from '../time/uptime.ts'

/** A session, and the poll that read it. */
export interface ReadSession {
  readonly poller: string
  readonly session: Session
}

/**
 * The sessions that this node has read from Redis. If nothing has changed in a session since its last poll, and that poll was on this
 * node, the next poll does not read it again. A session that is not used is forgotten after one to two times `lifeMs`.
 */
export class ReadSessions {
  readonly #lifeMs: number
  #recent = new Map<string, ReadSession>()
  #older = new Map<string, ReadSession>()
  #since = uptimeMs()

  constructor(lifeMs: number) {
    this.#lifeMs = lifeMs
  }

  get(id: string): ReadSession | undefined {
    return this.#recent.get(id) ?? this.#older.get(id)
  }

  set(id: string, read: ReadSession): void {
    if (uptimeMs() - this.#since > this.#lifeMs) {
      this.#older = this.#recent
      this.#recent = new Map()
      this.#since = uptimeMs()
    }
    this.#recent.set(id, read)
  }

  delete(id: string): void {
    this.#recent.delete(id)
    this.#older.delete(id)
  }
}
