import type { FromLeader, FromTab } from './tabMessages.ts'
import { LEADER_LIMIT_MS, LEADER_QUIET_MS } from './times.ts'

export interface PresenceHandlers {
  receive(message: FromLeader): void
  /** It is time to say hello to the leader. */
  hello(): void
  /** This tab is the leader now, until `endLead` is called. */
  lead(): void
  endLead(): Promise<void> | undefined
  /** The leader forgets this tab, because the page goes away and may come back. */
  away(): void
  unavailable(error: unknown): void
}

/** The lock that a tab holds while it is present. */
export function lockOf(group: string, tab: string): string {
  return `${group} ${tab}`
}

/**
 * Whether this tab is present among those that share a connection, and which one leads.
 *
 * The lock of the group belongs to the leader, and the others wait for it. So the browser itself appoints the next leader when one
 * is closed or has crashed. But a frozen page keeps its lock. So a tab that gets no answer from the leader steals the lock. The former
 * leader learns this when it runs again: its request for the lock is rejected. Until then its messages have a lower term, and are
 * ignored. A page that the browser freezes, or puts into its back-forward cache, leaves before and comes back after that. A page
 * with a lock or an open connection would not get into that cache.
 */
export class TabPresence {
  readonly #group: string
  readonly #tab: string
  readonly #handlers: PresenceHandlers
  readonly #listening = new AbortController()
  /** Aborted while the page is away. */
  #stay = new AbortController()
  /** Aborted when this tab does not wait for the lock of the leader any more. */
  #wait = new AbortController()
  #tabs: BroadcastChannel | undefined
  #releaseLock = () => {}
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(group: string, tab: string, handlers: PresenceHandlers) {
    this.#group = group
    this.#tab = tab
    this.#handlers = handlers
    this.#listen()
    this.#join()
  }

  /** Does nothing while the page is away. */
  post(message: FromTab): void {
    if (!this.#stay.signal.aborted) this.#tabs?.postMessage(message)
  }

  /** Leaves for ever. Resolves when the connection to the server is closed, if this tab had it. */
  async stop(): Promise<void> {
    this.#listening.abort()
    await this.#leave()
  }

  #listen(): void {
    if (typeof addEventListener !== 'function') return
    const options = { signal: this.#listening.signal }
    const back = () => {
      if (this.#stay.signal.aborted) this.#join()
    }
    addEventListener('pagehide', () => void this.#leave(), options)
    addEventListener('pageshow', back, options)
    globalThis.document?.addEventListener('freeze', () => void this.#leave(), options)
    globalThis.document?.addEventListener('resume', back, options)
  }

  #join(): void {
    const { signal } = (this.#stay = new AbortController())
    this.#tabs = new BroadcastChannel(this.#group)
    this.#tabs.onmessage = ({ data }: MessageEvent<FromLeader | FromTab>) => {
      if ('from' in data || signal.aborted) return
      this.#expect(false)
      this.#handlers.receive(data)
    }
    const isGone = new Promise((resolve) => signal.addEventListener('abort', resolve))
    // The leader waits for this lock to learn that the tab is gone. So the tab has it before it says hello.
    const join = () => {
      this.#waitForLead()
      this.#handlers.hello()
      this.#expect(true)
      return isGone
    }
    navigator.locks.request(lockOf(this.#group, this.#tab), { signal }, join).catch((error: unknown) => {
      if (!signal.aborted) this.#handlers.unavailable(error)
    })
  }

  async #leave(): Promise<void> {
    if (this.#stay.signal.aborted) return
    this.post({ type: 'bye', from: this.#tab })
    this.#stay.abort()
    this.#wait.abort()
    this.#tabs?.close()
    clearTimeout(this.#timer)
    this.#handlers.away()
    const closing = this.#handlers.endLead()
    this.#releaseLock()
    await closing
  }

  #waitForLead(steal = false): void {
    const stay = this.#stay.signal
    const wait = (this.#wait = new AbortController())
    const options = steal ? { steal } : { signal: wait.signal }
    const lead = () => {
      if (stay.aborted) return
      this.#handlers.lead()
      return new Promise<void>((resolve) => (this.#releaseLock = resolve))
    }
    navigator.locks.request(this.#group, options, lead).catch(() => {
      // This tab has left, or steals the lock itself.
      if (stay.aborted || wait !== this.#wait) return
      // Another tab has stolen it.
      void this.#handlers.endLead()
      this.#waitForLead()
    })
  }

  /** The leader has to be heard. @param isAsked whether it has to answer now. */
  #expect(isAsked: boolean): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(
      () => {
        if (isAsked) {
          this.#wait.abort()
          this.#waitForLead(true)
        } else this.#handlers.hello()
        this.#expect(true)
      },
      isAsked ? LEADER_LIMIT_MS : LEADER_QUIET_MS,
    )
  }
}
