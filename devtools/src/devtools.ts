import type { BroadcasterClient } from '@broadcaster/client'
import { el, set, setText } from './dom.ts'
import type { DevtoolsPosition } from './mountDevtools.ts'
import { Panel } from './panel.ts'
import { Recorder } from './recorder.ts'
import { styles } from './styles.ts'
import { statusWord, transportWord } from './words.ts'

/** The page hears nothing of these events. Its dialogs would close or take the focus back, and its shortcuts would be called. */
const ownEvents =
  'keydown keyup keypress focusin focusout pointerdown pointerup mousedown mouseup touchstart touchend click'
/** The panel is rendered at most this often, however many messages arrive. */
const RENDER_MS = 100
/** Rates and times of the next attempt change even if nothing happens. */
const TICK_MS = 1_000

/** The button and the panel of one target, in a shadow root: no style of the page reaches them, and none of theirs the page. */
export class Devtools {
  readonly element = document.createElement('broadcaster-devtools')
  readonly #button: HTMLButtonElement
  readonly #panel: Panel
  readonly #live = el('p', { class: 'hidden', role: 'status' })
  readonly #recorders: Recorder[] = []
  readonly #onEmpty: () => void
  #isOpen = false
  #selected: Recorder | null = null
  #renderTimer: ReturnType<typeof setTimeout> | undefined
  #ticker: ReturnType<typeof setInterval> | undefined

  constructor(initialIsOpen: boolean, position: DevtoolsPosition, onEmpty: () => void) {
    this.#onEmpty = onEmpty
    const root = this.element.attachShadow({ mode: 'open' })
    addStyles(root)
    for (const name of ownEvents.split(' ')) root.addEventListener(name, (event) => event.stopPropagation())

    this.#button = el(
      'button',
      {
        type: 'button',
        class: 'toggle',
        'aria-expanded': 'false',
        'aria-controls': 'panel',
        onclick: () => this.#open(),
      },
      el('span', { class: 'dot', 'aria-hidden': 'true' }),
      el('span', {}, 'broadcaster'),
      el('span', { class: 'hidden' }, ' devtools'),
    )
    this.#panel = new Panel(position.startsWith('top'), {
      onClose: () => this.#close(),
      onSelect: (index) => {
        this.#selected = this.#recorders[index] ?? null
        this.#render()
      },
      onChange: () => this.#render(),
    })
    const landmark = el('aside', { 'aria-label': 'Broadcaster devtools', 'data-position': position })
    landmark.append(this.#button, this.#panel.element, this.#live)
    root.append(landmark)
    if (initialIsOpen) this.#show(true)
  }

  add(client: BroadcasterClient): () => void {
    const recorder = new Recorder(client, () => this.#changed())
    this.#recorders.push(recorder)
    this.#selected ??= recorder
    this.#render()
    return () => this.#remove(recorder)
  }

  #remove(recorder: Recorder): void {
    const index = this.#recorders.indexOf(recorder)
    if (index < 0) return
    recorder.stop()
    this.#recorders.splice(index, 1)
    if (this.#selected === recorder) this.#selected = this.#recorders.at(-1) ?? null
    if (this.#recorders.length > 0) return this.#changed()
    this.#show(false)
    clearTimeout(this.#renderTimer)
    this.element.remove()
    this.#onEmpty()
  }

  #open(): void {
    this.#show(true)
    this.#panel.focus()
  }

  #close(): void {
    this.#show(false)
    this.#button.focus()
  }

  #show(isOpen: boolean): void {
    this.#isOpen = isOpen
    set(this.#button, 'aria-expanded', String(isOpen))
    this.#button.hidden = isOpen
    this.#panel.element.hidden = !isOpen
    clearInterval(this.#ticker)
    if (isOpen) {
      this.#ticker = setInterval(() => this.#tick(), TICK_MS)
      this.#tick()
    } else {
      for (const { channels } of this.#recorders) channels.stopMeasuring()
    }
  }

  #tick(): void {
    for (const { channels } of this.#recorders) channels.measure()
    this.#render()
  }

  #changed(): void {
    this.#renderTimer ??= setTimeout(() => {
      this.#renderTimer = undefined
      this.#render()
    }, RENDER_MS)
  }

  #render(): void {
    const recorder = this.#selected
    if (!recorder) return
    const { status, transport } = recorder.client
    set(this.#button, 'data-status', status)
    if (!this.#isOpen) return
    this.#panel.show(recorder, this.#recorders)
    // Only the state is announced. Messages would never stop.
    setText(this.#live, `${statusWord[status]}${transport ? ` over ${transportWord[transport]}` : ''}`)
  }
}

function addStyles(root: ShadowRoot): void {
  // jsdom and browsers of 2022 have no constructed style sheets.
  if (!('adoptedStyleSheets' in root)) return void (root as ShadowRoot).append(el('style', {}, styles))
  // They need no 'unsafe-inline'.
  const sheet = new CSSStyleSheet()
  sheet.replaceSync(styles)
  root.adoptedStyleSheets = [sheet]
}
