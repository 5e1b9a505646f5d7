import type { InspectedChannel } from '@broadcaster/client'
import { el, List, set, setText } from './dom.ts'
import type { Recorder } from './recorder.ts'
import { channelWord } from './words.ts'

/** More channels are not shown, because the page would become slow. The filter finds them. */
export const MAX_ROWS = 100

interface Row {
  readonly element: HTMLTableRowElement
  show(channel: InspectedChannel | undefined, isSelected: boolean): void
}

/** The channels of the client, and a choice of one of them. */
export class ChannelsSection {
  readonly element: HTMLElement
  /** The name of the channel whose messages are shown. */
  selected: string | null = null
  readonly #rows = new Map<string, Row>()
  readonly #list: List<string>
  readonly #filter = el('input', {
    type: 'search',
    'aria-label': 'Filter channels',
    placeholder: 'Filter',
    oninput: () => this.#onChange(),
  })
  readonly #note = el('p', { class: 'soft' })
  readonly #onChange: () => void
  #recorder: Recorder | null = null

  constructor(onChange: () => void) {
    this.#onChange = onChange
    const body = el('tbody')
    this.#list = new List(body, (name) => {
      const row = this.#makeRow(name)
      this.#rows.set(name, row)
      return row.element
    })
    const heads = ['Channel', 'Status', 'Listeners', 'Messages', 'Per s', 'Gaps', 'Replayed', 'Position']
    this.element = el(
      'section',
      { class: 'channels', 'aria-labelledby': 'channels-title' },
      el('div', { class: 'head' }, el('h2', { id: 'channels-title' }, 'Channels'), this.#filter),
      el(
        'div',
        { class: 'scroll', tabindex: 0, role: 'group', 'aria-labelledby': 'channels-title' },
        el(
          'table',
          { 'aria-labelledby': 'channels-title' },
          el('thead', {}, el('tr', {}, ...heads.map((head) => el('th', { scope: 'col' }, head)))),
          body,
        ),
        this.#note,
      ),
    )
  }

  show(recorder: Recorder): void {
    if (recorder !== this.#recorder) {
      this.#list.show([])
      this.#rows.clear()
      this.selected = null
    }
    this.#recorder = recorder
    const { channels } = recorder.client.inspection
    const wanted = this.#filter.value.toLowerCase()
    const all = new Set([...channels.keys(), ...recorder.channels.names()])
    const names = [...all].filter((name) => name.toLowerCase().includes(wanted)).toSorted()
    this.selected ??= names[0] ?? null
    const shown = names.slice(0, MAX_ROWS)
    this.#list.show(shown)
    for (const name of this.#rows.keys()) if (!shown.includes(name)) this.#rows.delete(name)
    for (const name of shown) this.#rows.get(name)!.show(channels.get(name), name === this.selected)
    setText(this.#note, note(names.length, all.size))
  }

  #makeRow(name: string): Row {
    const button = el(
      'button',
      { type: 'button', class: 'name', onclick: () => this.#select(name) },
      name === '' ? '(empty name)' : name,
    )
    const status = el('td')
    const numbers = Array.from({ length: 5 }, () => el('td', { class: 'number' }))
    const position = el('td', { class: 'position' })
    return {
      element: el('tr', {}, el('th', { scope: 'row' }, button), status, ...numbers, position),
      show: (channel, isSelected) => {
        const log = this.#recorder?.channels.get(name)
        const word = channel && channelWord[channel.listeners.status]
        set(button, 'aria-pressed', String(isSelected))
        setText(status, word ?? 'Ended')
        set(status, 'data-status', channel?.listeners.status ?? 'ended')
        set(status, 'title', channel?.listeners.error?.message)
        const values = [
          channel?.listeners.count ?? 0,
          log?.received ?? 0,
          log?.rate === undefined ? '–' : log.rate.toFixed(log.rate < 10 ? 1 : 0),
          log?.gaps ?? 0,
          log?.replayed ?? 0,
        ]
        for (const [index, cell] of numbers.entries()) setText(cell, String(values[index]))
        setText(position, log?.position ?? '–')
      },
    }
  }

  #select(name: string): void {
    this.selected = name
    this.#onChange()
  }
}

function note(found: number, all: number): string {
  if (all === 0) return 'No channel is subscribed.'
  if (found === 0) return 'No channel has this in its name.'
  return found > MAX_ROWS ? `${found - MAX_ROWS} more. The filter finds them.` : ''
}
