import { el, set } from './dom.ts'

export const MIN_HEIGHT = 160
const DEFAULT_HEIGHT = 420
const STEP = 20
/** The page stays visible. */
const MAX_SHARE = 0.9

/** The edge of the panel, with which its height is changed by pointer and by keyboard. */
export function makeSeparator(panel: HTMLElement, isAtTop: boolean): HTMLElement {
  const separator = el('div', {
    class: 'separator',
    role: 'separator',
    tabindex: 0,
    'aria-orientation': 'horizontal',
    'aria-label': 'Height of the devtools',
    'aria-controls': 'panel',
    'aria-valuemin': MIN_HEIGHT,
  })
  /** +1 if the panel becomes higher when the edge moves down. */
  const direction = isAtTop ? 1 : -1
  let height = DEFAULT_HEIGHT

  const resize = (wanted: number) => {
    const limit = Math.max(MIN_HEIGHT, Math.round(window.innerHeight * MAX_SHARE))
    height = Math.round(Math.min(Math.max(wanted, MIN_HEIGHT), limit))
    // A property of CSSOM. A `style` attribute would need 'unsafe-inline'.
    panel.style.height = `${height}px`
    set(separator, 'aria-valuemax', limit)
    set(separator, 'aria-valuenow', height)
  }

  separator.addEventListener('pointerdown', (down) => {
    if (down.button !== 0) return
    // Else the browser would select text, or scroll the page.
    down.preventDefault()
    separator.focus()
    separator.setPointerCapture(down.pointerId)
    const begin = height
    const move = (event: PointerEvent) => resize(begin + direction * (event.clientY - down.clientY))
    const end = () => {
      separator.removeEventListener('pointermove', move)
      separator.removeEventListener('lostpointercapture', end)
    }
    separator.addEventListener('pointermove', move)
    separator.addEventListener('lostpointercapture', end)
  })
  separator.addEventListener('keydown', (event) => {
    const heights: Partial<Record<string, number>> = {
      ArrowUp: height - direction * STEP,
      ArrowDown: height + direction * STEP,
      Home: MIN_HEIGHT,
      End: Infinity,
    }
    const wanted = heights[event.key]
    if (wanted === undefined) return
    event.preventDefault()
    resize(wanted)
  })
  resize(DEFAULT_HEIGHT)
  return separator
}
