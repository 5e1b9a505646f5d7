import type {
  AttemptFailed,
  BroadcasterClient,
  BroadcasterError,
  StatusChange,
  WireMessage,
} from '@broadcaster/client'
import { ChannelLogs } from './channelLogs.ts'
import { Latency } from './latency.ts'
import { Timeline } from './timeline.ts'
import { gapWord, modeWord, transportWord } from './words.ts'

/** More than these may be unanswered, but then their round trips are not measured. */
const MAX_UNANSWERED = 1_000

/** Observes a client and remembers what happened, within bounds. It never changes what the client does. */
export class Recorder {
  readonly client: BroadcasterClient
  readonly timeline = new Timeline()
  readonly channels = new ChannelLogs()
  readonly latency = new Latency()
  /** Why `auto` uses long-poll. `null` if it does not. */
  fallback: string | null = null
  readonly #onChange: () => void
  readonly #stops: (() => void)[]
  #attemptAt: number | null = null
  #webSocketFailure: string | null = null
  /** Of the last attempt. The timeline already has it. */
  #failure: BroadcasterError | null = null
  #pingAt: number | null = null
  readonly #subscribeAt = new Map<string, number>()
  /** The positions of the messages that are being replayed, by channel. */
  readonly #replayed = new Map<string, Set<string>>()

  constructor(client: BroadcasterClient, onChange: () => void) {
    this.client = client
    this.#onChange = onChange
    const { status, transport } = client
    this.timeline.add(
      'plain',
      `Devtools mounted: ${status}${transport ? ` over ${transportWord[transport]}` : ''}`,
    )
    if (status === 'connecting') this.#attemptAt = performance.now()
    this.#stops = [
      client.on('status', (change) => this.#changed(change)),
      client.on('attemptFailed', (attempt) => this.#failed(attempt)),
      client.on('wire', (message) => this.#saw(message)),
      client.on('message', (channel, _body, message) => {
        const { position } = message
        this.channels.add(
          channel,
          message,
          position !== undefined && !!this.#replayed.get(channel)?.delete(position),
        )
        onChange()
      }),
      client.on('gap', ({ channel, reason, position }) => {
        const log = this.channels.use(channel)
        log.gaps++
        if (position !== undefined) log.position = position
        this.timeline.addForChannel('bad', `Gap, ${gapWord[reason] ?? reason}`, channel)
        onChange()
      }),
    ]
  }

  stop(): void {
    for (const stop of this.#stops) stop()
  }

  #changed({ from, to, error, attempt, retryInMs, transport }: StatusChange): void {
    // When the client is connected, it has already sent its requests.
    if (to !== 'connected') {
      this.#pingAt = null
      this.#subscribeAt.clear()
    }
    if (to === 'connecting') this.timeline.add('wait', 'Connecting')
    else if (to === 'connected') this.#connected(from, transport!)
    else if (to === 'disconnected') {
      this.timeline.add(
        error ? 'bad' : 'plain',
        error ? `Gave up: ${error.message} (${error.code})` : 'Disconnected by the application',
      )
    } else if (from === 'connected' && retryInMs === undefined) {
      this.timeline.add('wait', `Asked for credentials: ${error?.message}`)
    } else if (retryInMs === undefined) {
      this.timeline.add('wait', attempt ? `Trying again, attempt ${attempt}` : 'Trying again')
    } else {
      const next = `Next attempt in ${(retryInMs / 1000).toFixed(1)} s`
      if (from === 'connected') this.timeline.add('bad', `Connection lost: ${error?.message}. ${next}`)
      else this.timeline.add('wait', error === this.#failure ? next : `${error?.message}. ${next}`)
    }
    this.#attemptAt =
      to === 'connecting' || (to === 'reconnecting' && retryInMs === undefined) ? performance.now() : null
    this.#onChange()
  }

  #connected(from: StatusChange['from'], transport: NonNullable<StatusChange['transport']>): void {
    const { mode } = this.client.inspection.settings
    const word = transportWord[transport]
    this.fallback =
      mode === 'auto' && transport === 'longpoll'
        ? (this.#webSocketFailure ??
          'it worked last, or an earlier page of this tab found WebSockets blocked, or there is no WebSocket here')
        : null
    if (transport === 'websocket') this.#webSocketFailure = null
    if (this.#attemptAt !== null) this.latency.handshakeMs = performance.now() - this.#attemptAt
    this.timeline.add('good', from === 'connected' ? `Moved to ${word}` : `Connected over ${word}`)
  }

  #failed({ transport, error }: AttemptFailed): void {
    if (transport === 'websocket') this.#webSocketFailure = error.message
    this.#failure = error
    this.timeline.add('wait', `${modeWord[transport]} failed: ${error.message}`)
    // `auto` tries the other transport now.
    if (this.#attemptAt !== null) this.#attemptAt = performance.now()
    this.#onChange()
  }

  #saw(message: WireMessage): void {
    const { __type: type } = message
    if (type === 'message') return
    if (type === 'ping') {
      this.#pingAt = performance.now()
    } else if (type === 'pong') {
      if (this.#pingAt !== null) this.latency.add(performance.now() - this.#pingAt)
      this.#pingAt = null
    } else if (type === 'subscribe') {
      if (this.#subscribeAt.size < MAX_UNANSWERED) this.#subscribeAt.set(message.channel, performance.now())
    } else if (type === 'subscribeOk') {
      const { channel, recovered, messages = [], history = [] } = message
      this.#answered(channel)
      const log = this.channels.use(channel)
      if (message.position !== undefined) log.position = message.position
      this.#replayed.delete(channel)
      if (history.length > 0) {
        this.timeline.addForChannel('good', 'Older messages', channel, history.length)
        // They come again for each subscription that asks for them.
        if (log.messages.length === 0)
          for (const [body, position] of history)
            this.channels.add(channel, { channel, body, position }, true)
      }
      if (recovered && messages.length > 0) {
        this.#replayed.set(channel, new Set(messages.map(([, position]) => position)))
        this.timeline.addForChannel('good', 'Messages replayed', channel, messages.length)
      }
    } else if (type === 'subscribeError') {
      this.#answered(message.channel)
      this.timeline.add('bad', `Refused: ${message.channel}. ${message.reason}`)
    } else if (type === 'unsubscribed') {
      this.timeline.add('bad', `Taken away: ${message.channel}. ${message.reason}`)
    } else if (type === 'serverError') {
      this.timeline.add(
        'bad',
        `Server error${message.channel === undefined ? '' : `: ${message.channel}`}. ${message.reason}`,
      )
    }
    this.#onChange()
  }

  #answered(channel: string): void {
    const sentAt = this.#subscribeAt.get(channel)
    if (sentAt !== undefined) this.latency.add(performance.now() - sentAt)
    this.#subscribeAt.delete(channel)
  }
}
