import type { Cancel } from './dialer.ts'
import { fetchOf, webSocketOf } from './options.ts'
import type { Settings } from './options.ts'
import type { TransportEnd } from './transport.ts'
import type { TransportName } from './types.ts'
import { readRetryTime, writeRetryTime } from './webSocketMemory.ts'

/** While on long-poll, WebSocket is tried again after this, then after twice as long, ... */
export const PROBE_FIRST_MS = 30_000
export const PROBE_CAP_MS = 300_000

/** Tries a WebSocket, whose success the caller sees to. */
type OpenProbe = (onFail: (end: TransportEnd) => void) => Cancel

/** Which transports `auto` tries, and, while it uses long-poll, when it probes whether a WebSocket works again. */
export class TransportChoice {
  readonly #settings: Settings
  readonly #openProbe: OpenProbe
  #prefersLongPoll: boolean | undefined
  /** A WebSocket got no answer at all, which costs each page a wait. */
  #isBlocked = false
  #timer: ReturnType<typeof setTimeout> | undefined
  #cancel: Cancel | null = null
  #delayMs = 0

  constructor(settings: Settings, openProbe: OpenProbe) {
    this.#settings = settings
    this.#openProbe = openProbe
  }

  get isProbing(): boolean {
    return this.#cancel !== null
  }

  /** Transports in the order in which they are to be tried. */
  list(): TransportName[] {
    const { mode } = this.#settings
    if (mode !== 'auto') return [mode]
    // The first time, a page before this one may know.
    if (this.#prefersLongPoll === undefined)
      this.#prefersLongPoll = this.#isBlocked = readRetryTime(this.#settings) !== undefined
    if (!webSocketOf(this.#settings) || this.#prefersLongPoll) return ['longpoll']
    return fetchOf(this.#settings) ? ['websocket', 'longpoll'] : ['websocket']
  }

  /** A WebSocket has failed, and long-poll is next. A server that refuses answers soon; a network that blocks never does. */
  webSocketFailed({ error }: TransportEnd): void {
    this.#isBlocked = error.code === 'timeout'
  }

  /** All have failed, so that nothing speaks for one of them. */
  allFailed(): void {
    this.#prefersLongPoll = false
  }

  /** This transport works. */
  use(name: TransportName): void {
    this.#cancel = null
    this.#prefersLongPoll = name === 'longpoll'
    if (!this.#prefersLongPoll) {
      this.#isBlocked = false
      writeRetryTime(this.#settings, null)
    } else if (this.#settings.mode === 'auto' && webSocketOf(this.#settings)) {
      // A probe that was due on an earlier page is made on this one, however soon each page is left.
      const dueInMs = this.#isBlocked ? (readRetryTime(this.#settings) ?? Infinity) - Date.now() : Infinity
      this.#probeIn(Math.min(Math.max(dueInMs, 0), PROBE_FIRST_MS))
    }
  }

  /** Probes now, if a probe is waited for. */
  probeNow(): void {
    if (this.#timer === undefined) return
    this.stopWaiting()
    this.#cancel = this.#openProbe(({ retry }) => {
      this.#cancel = null
      // The session that there is was accepted: a refusal leaves it alone, and would be repeated.
      if (this.#prefersLongPoll && retry !== 'never') this.#probeIn(this.#delayMs * 2)
    })
  }

  stopWaiting(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  async stop(): Promise<void> {
    this.stopWaiting()
    const cancel = this.#cancel
    this.#cancel = null
    await cancel?.()
  }

  #probeIn(ms: number): void {
    this.#delayMs = Math.min(Math.max(ms, PROBE_FIRST_MS), PROBE_CAP_MS)
    const waitMs = Math.min(ms, PROBE_CAP_MS)
    if (this.#isBlocked) writeRetryTime(this.#settings, Date.now() + waitMs)
    this.#timer = setTimeout(() => this.probeNow(), waitMs)
  }
}
