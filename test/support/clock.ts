import { onTestFinished, vi } from 'vitest'

/** Stops the clock that rate limits and time limits use. Timers and everything else continue. */
export function stopClock(): { advance(ms: number): void } {
  vi.useFakeTimers({ toFake: ['performance'] })
  onTestFinished(() => void vi.useRealTimers())
  return { advance: (ms) => void vi.advanceTimersByTime(ms) }
}
