import { el, List } from './dom.ts'
import type { Recorder } from './recorder.ts'
import type { Entry } from './timeline.ts'
import { clockTime } from './words.ts'

/** What happened to the connection, newest first. */
export class TimelineSection {
  readonly element: HTMLElement
  readonly #list: List<Entry>

  constructor() {
    const entries = el('ol', {
      class: 'scroll',
      tabindex: 0,
      'aria-labelledby': 'timeline-title',
      reversed: true,
    })
    this.#list = new List(entries, ({ at, tone, text }) =>
      el('li', { 'data-tone': tone }, el('time', {}, clockTime(at)), ' ', text),
    )
    this.element = el(
      'section',
      { class: 'timeline', 'aria-labelledby': 'timeline-title' },
      el('h2', { id: 'timeline-title' }, 'Timeline'),
      entries,
    )
  }

  show({ timeline }: Recorder): void {
    this.#list.show(timeline.entries.toReversed())
  }
}
