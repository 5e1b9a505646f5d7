import { isFinal } from './closes.ts'
import type { Cancel, DialHandlers } from './dialer.ts'
import type { BroadcasterError } from './errors.ts'
import { fetchOf, webSocketOf } from './options.ts'
import type { Settings } from './options.ts'
import type { TransportName } from './types.ts'
import { readRetryTime, writeRetryTime } from './webSocketMemory.ts'

/** While the client uses long-poll, it tries WebSocket again after this time. The time doubles for each next probe. */
export const PROBE_FIRST_MS = 30_000
export const PROBE_CAP_MS = 300_000

/** Tries to open a WebSocket. The function itself handles a success. */
type OpenProbe = (onFail: DialHandlers['onFail']) => Cancel

/** Decides which transports `auto` tries. While `auto` uses long-poll, probes whether a WebSocket works again. */
export class TransportChoice {
  readonly #settings: Settings
  readonly #openProbe: OpenProbe
  #prefersLongPoll: boolean | undefined
  /** A WebSocket got no answer at all, so each page would have to wait for the timeout. */
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

  /** The transports, in the order in which to try them. */
  list(): TransportName[] {
    const { mode } = this.#settings
    if (mode !== 'auto') return [mode]
    // The first time, an earlier page of this tab may know that WebSockets are blocked.
    if (this.#prefersLongPoll === undefined)
      this.#prefersLongPoll = this.#isBlocked = readRetryTime(this.#settings) !== undefined
    if (!webSocketOf(this.#settings) || this.#prefersLongPoll) return ['longpoll']
    return fetchOf(this.#settings) ? ['websocket', 'longpoll'] : ['websocket']
  }

  /** A WebSocket has failed, and long-poll is next. A timeout means that a network blocks: a server would have answered. */
  webSocketFailed(error: BroadcasterError): void {
    this.#isBlocked = error.code === 'timeout'
  }

  /** All transports have failed, so there is no reason to prefer one. */
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
      // If a probe was scheduled on an earlier page, it is made on this page at its time. So probes happen even if the user
      // leaves each page soon.
      const dueInMs = this.#isBlocked ? (readRetryTime(this.#settings) ?? Infinity) - Date.now() : Infinity
      this.#probeIn(Math.min(Math.max(dueInMs, 0), PROBE_FIRST_MS))
    }
  }

  /** Probes now, if a probe is scheduled. */
  probeNow(): void {
    if (this.#timer === undefined) return
    this.stopWaiting()
    this.#cancel = this.#openProbe((error) => {
      this.#cancel = null
      // The current session was accepted, so a refusal of the probe does not end it. Another probe would be refused too.
      if (this.#prefersLongPoll && !isFinal(error)) this.#probeIn(this.#delayMs * 2)
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
