import { isFinal } from './closes.ts'
import type { Cancel } from './dialer.ts'
import type { BroadcasterError } from './errors.ts'
import { fetchOf, webSocketOf } from './options.ts'
import type { Settings } from './options.ts'
import type { TransportHandlers } from './transport.ts'
import type { TransportName } from './types.ts'
import { readRetryTime, writeRetryTime } from './webSocketMemory.ts'
import { PROBE_CAP_MS, PROBE_FIRST_MS } from './times.ts'

/** Tries to open a WebSocket. The function itself handles a success. */
type OpenProbe = (onFail: TransportHandlers['onEnd']) => Cancel

/** Decides which transports `auto` tries. While `auto` uses long-poll, probes whether a WebSocket works again. */
export interface TransportChoice {
  isProbing(): boolean
  /** The transports, in the order in which to try them. */
  list(): TransportName[]
  /** A WebSocket has failed, and long-poll is next. A timeout means that a network blocks: a server would have answered. */
  webSocketFailed(error: BroadcasterError): void
  /** All transports have failed, so there is no reason to prefer one. */
  allFailed(): void
  /** This transport works. */
  use(name: TransportName): void
  /** Probes now, if a probe is scheduled. */
  probeNow(): void
  stopWaiting(): void
  /** Resolves when there is no probe any more. */
  stop(): Promise<void> | undefined
}

export function makeTransportChoice(settings: Settings, openProbe: OpenProbe): TransportChoice {
  let prefersLongPoll: boolean | undefined
  /** A WebSocket got no answer at all, so each page would have to wait for the timeout. */
  let isBlocked = false
  let timer: ReturnType<typeof setTimeout> | undefined
  let cancelProbe: Cancel | undefined
  let delayMs = 0

  const stopWaiting = () => {
    clearTimeout(timer)
    timer = undefined
  }
  const probeIn = (ms: number) => {
    const waitMs = Math.min(ms, PROBE_CAP_MS)
    delayMs = Math.max(waitMs, PROBE_FIRST_MS)
    if (isBlocked) writeRetryTime(settings, Date.now() + waitMs)
    timer = setTimeout(probeNow, waitMs)
  }
  const probeNow = () => {
    if (timer === undefined) return
    stopWaiting()
    cancelProbe = openProbe((error) => {
      cancelProbe = undefined
      // The current session was accepted, so a refusal of the probe does not end it. Another probe would be refused too.
      if (prefersLongPoll && !isFinal(error)) probeIn(delayMs * 2)
    })
  }

  return {
    probeNow,
    stopWaiting,
    isProbing: () => cancelProbe !== undefined,
    list: () => {
      const { mode } = settings
      if (mode !== 'auto') return [mode]
      // The first time, an earlier page of this tab may know that WebSockets are blocked.
      prefersLongPoll ??= isBlocked = readRetryTime(settings) !== undefined
      if (!webSocketOf(settings) || prefersLongPoll) return ['longpoll']
      return fetchOf(settings) ? ['websocket', 'longpoll'] : ['websocket']
    },
    webSocketFailed: ({ code }) => {
      isBlocked = code === 'timeout'
    },
    allFailed: () => {
      prefersLongPoll = false
    },
    use: (name) => {
      cancelProbe = undefined
      prefersLongPoll = name === 'longpoll'
      if (!prefersLongPoll) {
        isBlocked = false
        writeRetryTime(settings, null)
      } else if (settings.mode === 'auto' && webSocketOf(settings)) {
        // If a probe was scheduled on an earlier page, it is made on this page at its time. So probes happen even if the user
        // leaves each page soon.
        const dueAt = (isBlocked && readRetryTime(settings)) || Infinity
        probeIn(Math.min(Math.max(dueAt - Date.now(), 0), PROBE_FIRST_MS))
      }
    },
    stop: () => {
      stopWaiting()
      const closing = cancelProbe?.()
      cancelProbe = undefined
      return closing
    },
  }
}
