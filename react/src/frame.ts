/** A page that is not visible gets no frames; its title or a badge may still want to show what arrived. */
const HIDDEN_PAGE_MS = 250

/** A frame that has not come after this will not come: it is asked for anew. */
const LOST_MS = 2 * HIDDEN_PAGE_MS

type Asked = {
  /** Tests replace timers: what was asked of timers that are gone never comes. */
  readonly of: typeof setTimeout
  readonly at: number
  readonly timer: ReturnType<typeof setTimeout>
  frame?: number
}

const waiting = new Set<() => void>()
let asked: Asked | undefined

/**
 * Calls back with the next frame, once however often it was asked for. All callbacks of a frame run in one go,
 * so that React renders them together.
 */
export function onNextFrame(callback: () => void): void {
  waiting.add(callback)
  const at = performance.now()
  // Clocks are replaced too, and may go back then.
  if (asked?.of === setTimeout && Math.abs(at - asked.at) < LOST_MS) return
  const asking: Asked = { of: setTimeout, at, timer: setTimeout(run, HIDDEN_PAGE_MS) }
  asked = asking
  if (typeof requestAnimationFrame === 'function') asking.frame = requestAnimationFrame(run)
}

function run(): void {
  if (asked) {
    clearTimeout(asked.timer)
    // Where frames are a test's own, there may be no way to cancel them; one too many does nothing.
    if (asked.frame !== undefined) globalThis.cancelAnimationFrame?.(asked.frame)
    asked = undefined
  }
  const callbacks = [...waiting]
  waiting.clear()
  for (const callback of callbacks) {
    try {
      callback()
    } catch (error) {
      // Told as it would have been without the others, which have their turn.
      queueMicrotask(() => {
        throw error
      })
    }
  }
}
