import { onTestFinished, vi } from 'vitest'
import { until } from './scriptedServer.ts'

/** Full jitter at its maximum. */
export const LONGEST = 0.9999999

/** Stops timers and the clock until the test moves them. Sockets are real. Jitter is this fraction of its limit. */
export function stopTime(random = LONGEST): void {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] })
  const spy = vi.spyOn(Math, 'random').mockReturnValue(random)
  onTestFinished(() => {
    vi.useRealTimers()
    spy.mockRestore()
  })
}

/** Resolves when the client has started its first pause since time stopped. Only the backoff uses random numbers. */
export function aPause(): Promise<void> {
  return until('a pause', () => vi.mocked(Math.random).mock.calls.length > 0)
}

/** Makes every backoff 0 ms, which is a possible result of full jitter. */
export function withoutWaiting(): void {
  const random = vi.spyOn(Math, 'random').mockReturnValue(0)
  onTestFinished(() => random.mockRestore())
}

/** A page with the events that wake the client up. */
export function fakePage() {
  const page = Object.assign(new EventTarget(), { hidden: false })
  const window = new EventTarget()
  vi.stubGlobal('document', page)
  let listeners = 0
  vi.stubGlobal(
    'addEventListener',
    (type: string, listener: EventListener, options: { signal: AbortSignal }) => {
      listeners++
      options.signal.addEventListener('abort', () => listeners--)
      window.addEventListener(type, listener, options)
    },
  )
  onTestFinished(() => void vi.unstubAllGlobals())
  return {
    get listeners() {
      return listeners
    },
    goOnline: () => window.dispatchEvent(new Event('online')),
    show: ({ persisted }: { persisted: boolean }) =>
      window.dispatchEvent(Object.assign(new Event('pageshow'), { persisted })),
    become: (visibilityState: 'visible' | 'hidden') => {
      page.hidden = visibilityState === 'hidden'
      page.dispatchEvent(new Event('visibilitychange'))
    },
  }
}
