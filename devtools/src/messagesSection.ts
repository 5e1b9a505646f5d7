import type { GapReason } from '@broadcaster/client'
import { bodyElement, preview } from './body.ts'
import type { LoggedMessage } from './channelLogs.ts'
import { el, List, set, setText } from './dom.ts'
import type { Recorder } from './recorder.ts'
import { clockTime, gapWord } from './words.ts'

/** The last messages of the selected channel, newest first. */
export class MessagesSection {
  readonly element: HTMLElement
  readonly #title = el('h2', { id: 'messages-title' })
  readonly #list: List<LoggedMessage>
  readonly #note = el('p', { class: 'soft' })
  readonly #reason: HTMLSelectElement
  readonly #gap = el('button', { type: 'button', onclick: () => this.#simulateGap() }, 'Simulate gap')
  #recorder: Recorder | null = null
  #channel: string | null = null

  constructor() {
    const messages = el('ol', {
      class: 'scroll',
      tabindex: 0,
      'aria-labelledby': 'messages-title',
      reversed: true,
    })
    this.#list = new List(messages, messageElement)
    this.#reason = el(
      'select',
      { 'aria-label': 'Reason of the gap' },
      ...Object.entries(gapWord).map(([reason, word]) =>
        el('option', { value: reason }, `${reason}: ${word}`),
      ),
    )
    this.element = el(
      'section',
      { class: 'messages', 'aria-labelledby': 'messages-title' },
      this.#title,
      el('div', { class: 'buttons' }, this.#reason, this.#gap),
      this.#note,
      messages,
    )
  }

  show(recorder: Recorder, channel: string | null): void {
    this.#recorder = recorder
    this.#channel = channel
    const messages = channel === null ? [] : (recorder.channels.get(channel)?.messages ?? [])
    setText(this.#title, channel === null ? 'Messages' : `Last messages of ${channel}`)
    setText(this.#note, messages.length === 0 ? 'No message yet.' : '')
    set(this.#gap, 'aria-disabled', String(!this.#listeners))
    this.#list.show(messages.toReversed())
  }

  /** The subscriptions of the channel, if it has any. */
  get #listeners() {
    const channels = this.#recorder?.client.inspection.channels
    const listeners = this.#channel === null ? undefined : channels?.get(this.#channel)?.listeners
    return listeners?.count ? listeners : undefined
  }

  #simulateGap(): void {
    const position = this.#recorder?.channels.get(this.#channel ?? '')?.position
    this.#listeners?.tellGap(this.#reason.value as GapReason, position)
  }
}

function messageElement({ at, body, cutChars, position, isReplayed }: LoggedMessage): HTMLElement {
  const marks = isReplayed ? [el('span', { class: 'mark' }, 'replayed'), ' '] : []
  const details = el(
    'details',
    {},
    el(
      'summary',
      {},
      el('time', {}, clockTime(at)),
      ' ',
      ...marks,
      el('span', { class: 'preview' }, preview(body)),
    ),
  )
  // Most messages are never unfolded.
  const unfold = () =>
    details.append(
      el('p', { class: 'soft' }, position === undefined ? 'No position' : `Position ${position}`),
      bodyElement(body),
      ...(cutChars > 0 ? [el('p', { class: 'soft' }, `${cutChars} more characters are not kept.`)] : []),
    )
  details.addEventListener('toggle', unfold, { once: true })
  return el('li', {}, details)
}
