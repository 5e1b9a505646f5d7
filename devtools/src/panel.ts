import { ChannelsSection } from './channelsSection.ts'
import { ConnectionSection } from './connectionSection.ts'
import { el, set, setText } from './dom.ts'
import { MessagesSection } from './messagesSection.ts'
import type { Recorder } from './recorder.ts'
import { makeSeparator } from './separator.ts'
import { TimelineSection } from './timelineSection.ts'
import { statusWord } from './words.ts'

interface PanelHandlers {
  onClose(): void
  /** Another client is chosen. */
  onSelect(index: number): void
  /** Something that the panel shows has changed in the panel itself. */
  onChange(): void
}

export class Panel {
  readonly element: HTMLElement
  readonly #status = el('span', { class: 'status' })
  readonly #clients: HTMLSelectElement
  readonly #close: HTMLButtonElement
  readonly #connection = new ConnectionSection()
  readonly #timeline = new TimelineSection()
  readonly #channels: ChannelsSection
  readonly #messages = new MessagesSection()

  constructor(isAtTop: boolean, { onClose, onSelect, onChange }: PanelHandlers) {
    this.#channels = new ChannelsSection(onChange)
    this.#clients = el('select', {
      'aria-label': 'Client',
      onchange: () => onSelect(this.#clients.selectedIndex),
    })
    this.#close = el('button', { type: 'button', 'aria-label': 'Close devtools', onclick: onClose }, '✕')
    const header = el('header', {}, el('strong', {}, 'broadcaster'), this.#status, this.#clients, this.#close)
    const sections = el(
      'div',
      { class: 'sections' },
      this.#connection.element,
      el('div', { class: 'column' }, this.#channels.element, this.#timeline.element),
      this.#messages.element,
    )
    this.element = el('div', { id: 'panel', class: 'panel' })
    this.element.hidden = true
    const separator = makeSeparator(this.element, isAtTop)
    this.element.append(...(isAtTop ? [header, sections, separator] : [separator, header, sections]))
    this.element.addEventListener('keydown', (event) => {
      if (event.key === 'Escape') onClose()
    })
  }

  focus(): void {
    this.#close.focus()
  }

  show(recorder: Recorder, recorders: readonly Recorder[]): void {
    const { status } = recorder.client
    setText(this.#status, statusWord[status])
    set(this.#status, 'data-status', status)
    this.#showClients(recorder, recorders)
    this.#connection.show(recorder)
    this.#timeline.show(recorder)
    this.#channels.show(recorder)
    this.#messages.show(recorder, this.#channels.selected)
  }

  #showClients(recorder: Recorder, recorders: readonly Recorder[]): void {
    const labels = recorders.map(({ client }, index) => `${index + 1}: ${client.inspection.settings.url}`)
    this.#clients.hidden = recorders.length < 2
    const shown = Array.from(this.#clients.options, ({ text }) => text)
    if (shown.join('\n') !== labels.join('\n')) {
      this.#clients.replaceChildren(...labels.map((label) => el('option', {}, label)))
    }
    this.#clients.selectedIndex = recorders.indexOf(recorder)
  }
}
