/** A hidden page gets no frames, but its title or a badge may show what arrived. So a timer runs too. */
const HIDDEN_PAGE_MS = 250

/** If neither the frame nor the timer has come after this time, they will not come. They are requested again. */
const LOST_MS = 2 * HIDDEN_PAGE_MS

type Asked = {
  /** Tests replace timers. A request to timers that were replaced is never executed. */
  readonly of: typeof setTimeout
  readonly at: number
  readonly timer: ReturnType<typeof setTimeout>
  frame?: number
}

const waiting = new Set<() => void>()
let asked: Asked | undefined

/**
 * Calls the callback with the next frame. It is called once, even if it was added several times. All callbacks of a frame
 * run in one go, so React renders their changes together.
 */
export function onNextFrame(callback: () => void): void {
  waiting.add(callback)
  const at = performance.now()
  // Tests replace the clock too, and then the time may go back.
  if (asked?.of === setTimeout && Math.abs(at - asked.at) < LOST_MS) return
  const asking: Asked = { of: setTimeout, at, timer: setTimeout(run, HIDDEN_PAGE_MS) }
  asked = asking
  if (typeof requestAnimationFrame === 'function') asking.frame = requestAnimationFrame(run)
}

function run(): void {
  if (asked) {
    clearTimeout(asked.timer)
    // If a test replaces frames, there may be no function to cancel them. An additional frame does nothing.
    if (asked.frame !== undefined) globalThis.cancelAnimationFrame?.(asked.frame)
    asked = undefined
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
