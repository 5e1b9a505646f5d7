/** A hidden page gets no frames, but its title or a badge may show what arrived. So a timer runs too. */
const HIDDEN_PAGE_MS = 250

/** If neither the frame nor the timer has come after this time, they will not come. They are requested again. */
const LOST_MS = 2 * HIDDEN_PAGE_MS

/** A request for a frame and for a timer. The first of them runs the callbacks. */
type FrameRequest = {
  /** The function that set the timer. If a test has replaced it since, the timer never fires. */
  readonly setTimeout: typeof setTimeout
  readonly requestedAt: number
  readonly timer: ReturnType<typeof setTimeout>
  frame?: number
}

const waiting = new Set<() => void>()
let current: FrameRequest | undefined

/**
 * Calls the callback with the next frame. It is called once, even if it was added several times. All callbacks of a frame
 * run in one go, so React renders their changes together.
 */
export function onNextFrame(callback: () => void): void {
  waiting.add(callback)
  const now = performance.now()
  // Tests replace the clock too, and then the time may go back.
  if (current?.setTimeout === setTimeout && Math.abs(now - current.requestedAt) < LOST_MS) return
  const request: FrameRequest = {
    setTimeout,
    requestedAt: now,
    timer: setTimeout(flushFrame, HIDDEN_PAGE_MS),
  }
  current = request
  if (typeof requestAnimationFrame === 'function') request.frame = requestAnimationFrame(flushFrame)
}

/** Renders now what waits for the next frame. For tests. */
export function flushFrame(): void {
  if (current) {
    // A timer that a test has replaced never fires, and the new function does not know it.
    if (current.setTimeout === setTimeout) clearTimeout(current.timer)
    // If a test replaces frames, there may be no function to cancel them. An additional frame does nothing.
    if (current.frame !== undefined) globalThis.cancelAnimationFrame?.(current.frame)
    current = undefined
  }
  const callbacks = [...waiting]
  waiting.clear()
  for (const callback of callbacks) {
    try {
      callback()
    } catch (error) {
      // Thrown as an uncaught error, and the other callbacks still run.
      queueMicrotask(() => {
        throw error
      })
    }
  }
}
