import type { Mode } from '@broadcaster/client'
import { el, set, setText } from './dom.ts'
import type { Recorder } from './recorder.ts'
import { milliseconds, modeWord, statusWord, transportWord } from './words.ts'

const DROPPED = 'Dropped by the devtools'

/** The state of the connection, and what can be done to it. */
export class ConnectionSection {
  readonly element: HTMLElement
  readonly #state = el('dd')
  readonly #transport = el('dd')
  readonly #error = el('dd')
  readonly #latency = el('dd')
  readonly #errorRow = el('div', {}, el('dt', {}, 'Error'), this.#error)
  readonly #modes: ReadonlyMap<Mode, HTMLButtonElement>
  readonly #drop = el(
    'button',
    { type: 'button', onclick: () => this.#recorder?.client.inspection.drop(DROPPED) },
    'Drop connection',
  )
  readonly #toggle = el('button', { type: 'button', onclick: () => this.#connectOrDisconnect() })
  #recorder: Recorder | null = null

  constructor() {
    const modes = (['auto', 'websocket', 'longpoll'] as const).map(
      (mode) =>
        [mode, el('button', { type: 'button', onclick: () => this.#force(mode) }, modeWord[mode])] as const,
    )
    this.#modes = new Map(modes)
    this.element = el(
      'section',
      { class: 'connection', 'aria-labelledby': 'connection-title' },
      el('h2', { id: 'connection-title' }, 'Connection'),
      el(
        'dl',
        {},
        el('div', {}, el('dt', {}, 'State'), this.#state),
        el('div', {}, el('dt', {}, 'Transport'), this.#transport),
        this.#errorRow,
        el('div', {}, el('dt', {}, 'Latency'), this.#latency),
      ),
      el(
        'div',
        { class: 'buttons', role: 'group', 'aria-label': 'Transport' },
        ...modes.map(([, button]) => button),
      ),
      el('div', { class: 'buttons' }, this.#drop, this.#toggle),
    )
  }

  show(recorder: Recorder): void {
    this.#recorder = recorder
    const { client, latency, fallback } = recorder
    const { status, error, retryAt, attempt, transport } = client.getSnapshot()
    const next =
      retryAt === null ? '' : `, next attempt in ${Math.max(0, Math.ceil((retryAt - Date.now()) / 1000))} s`
    setText(this.#state, `${statusWord[status]}${attempt > 0 ? ` (attempt ${attempt})` : ''}${next}`)
    const used = transport ? transportWord[transport] : 'none'
    setText(
      this.#transport,
      fallback !== null && transport ? `${used}, because WebSocket failed: ${fallback}` : used,
    )
    this.#errorRow.hidden = error === null
    setText(this.#error, error ? `${error.message} (${error.code})` : '')
    const { handshakeMs, last, median } = latency
    const trips =
      last === undefined ? '' : `, round trip ${milliseconds(last)} (median ${milliseconds(median)})`
    setText(this.#latency, `handshake ${milliseconds(handshakeMs)}${trips}`)
    const { mode } = client.inspection.settings
    for (const [name, button] of this.#modes) set(button, 'aria-pressed', String(name === mode))
    const isDown = status === 'idle' || status === 'disconnected'
    // Not `disabled`, which would take the focus away.
    set(this.#drop, 'aria-disabled', String(status !== 'connected'))
    setText(this.#toggle, isDown ? 'Connect' : status === 'connected' ? 'Disconnect' : 'Try now')
  }

  #force(mode: Mode): void {
    const client = this.#recorder?.client
    if (!client) return
    client.inspection.settings.mode = mode
    if (client.status === 'idle' || client.status === 'disconnected') return
    client.inspection.drop(`Changed to ${modeWord[mode]} by the devtools`)
    void client.connect()
  }

  #connectOrDisconnect(): void {
    const client = this.#recorder?.client
    if (client?.status === 'connected') void client.disconnect()
    else void client?.connect()
  }
}
