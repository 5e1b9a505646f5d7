import { onTestFinished, vi } from 'vitest'

/** Like {@link stopClock}. Intervals stop too, so `advance` also runs the periodic work of the server. */
export function stopSweeps(): { advance(ms: number): void } {
  return stop(['performance', 'setInterval', 'clearInterval'])
}

/** Stops the clock that rate limits and time limits use. Timers and everything else continue. */
export function stopClock(): { advance(ms: number): void } {
  return stop(['performance'])
}

function stop(toFake: ('performance' | 'setInterval' | 'clearInterval')[]): { advance(ms: number): void } {
  vi.useFakeTimers({ toFake })
  onTestFinished(() => void vi.useRealTimers())
  return { advance: (ms) => void vi.advanceTimersByTime(ms) }
}
