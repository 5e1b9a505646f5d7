/** A page that is not visible gets no frames; its title or a badge may still want to show what arrived. */
const HIDDEN_PAGE_MS = 250

const waiting = new Set<() => void>()
let frame: number | undefined
let timer: ReturnType<typeof setTimeout> | undefined

/**
 * Calls back with the next frame, once however often it was asked for. All callbacks of a frame run in one go,
 * so that React renders them together.
 */
export function onNextFrame(callback: () => void): void {
  waiting.add(callback)
  if (timer !== undefined) return
  timer = setTimeout(run, HIDDEN_PAGE_MS)
  if (typeof requestAnimationFrame === 'function') frame = requestAnimationFrame(run)
}

function run(): void {
  clearTimeout(timer)
  if (frame !== undefined) cancelAnimationFrame(frame)
  timer = frame = undefined
  const callbacks = [...waiting]
  waiting.clear()
  for (const callback of callbacks) callback()
}
