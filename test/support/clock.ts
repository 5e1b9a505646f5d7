import { onTestFinished, vi } from 'vitest'

/** Stops the clock that limits of requests and of time are measured with. Timers and everything else go on. */
export function stopClock(): { advance(ms: number): void } {
  vi.useFakeTimers({ toFake: ['performance'] })
  onTestFinished(() => void vi.useRealTimers())
  return { advance: (ms) => void vi.advanceTimersByTime(ms) }
}
