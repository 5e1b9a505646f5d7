import type { Position, ServerMessage } from '@broadcaster/protocol'
import { Channel } from './channel.ts'
import type { ChannelHost } from './channel.ts'
import { BroadcasterError } from './errors.ts'
import type { Emitter } from './events.ts'
import type { Settings } from './options.ts'
import type { Receiver, Transport } from './transport.ts'

/** The channels that have listeners. They are subscribed on each new connection, each from its position. */
export class Subscriptions implements ChannelHost, Receiver {
  readonly emitter: Emitter
  readonly settings: Settings
  link: Transport | null = null
  left = new Set<string>()
  unanswered = new Set<string>()
  givenUp: BroadcasterError | null = null
  readonly channels = new Map<string, Channel>()
  /** Counts changes of the connection. A loop that calls handlers stops when a handler causes another change. */
  #changes = 0

  constructor(emitter: Emitter, settings: Settings) {
    this.emitter = emitter
    this.settings = settings
  }

  /** The channel. If there is none of this name yet, it has no subscription and is not subscribed. */
  channel(name: string): Channel {
    const channel = this.channels.get(name) ?? new Channel(name, this)
    this.channels.set(name, channel)
    return channel
  }

  /** There is a new connection. Subscribes all channels on it. */
  attach(link: Transport): void {
    this.#change(link, null, (channel) => {
      // A channel stays `subscribed` while it moves from one transport to another.
      if (channel.listeners.status !== 'subscribed') channel.listeners.setStatus('subscribing')
      channel.sync()
    })
  }

  /**
   * There is no connection. With an error, the client does not reconnect. Without one, channels that the client had given up wait
   * for the next connection again. `isRenewal`: it comes back at once, so that channels stay `subscribed`, as while they move from
   * one transport to another.
   */
  detach(final: BroadcasterError | null = null, isRenewal = false): void {
    this.#change(null, final, ({ listeners }) => {
      if (final) listeners.setStatus('error', final)
      else if (listeners.status === 'error' || (listeners.status === 'subscribed' && !isRenewal))
        listeners.setStatus('subscribing')
    })
  }

  receive(message: ServerMessage): void {
    this.emitter.emit(['wire', message])
    const channel = this.channels.get((message as { channel: string }).channel)
    if (channel) channel.receive(message)
    else if (message.__type === 'serverError')
      this.emitter.emit(['error', new BroadcasterError('serverError', message.reason)])
    // The server executed an old request late, and the session now has a channel that we do not want any more.
    else if (message.__type === 'message' || message.__type === 'gap')
      this.channel(message.channel).requestUnsubscribe()
  }

  fail(name: string, error: BroadcasterError): void {
    this.channels.get(name)?.fail(error)
  }

  /** Of each channel that the server has, or may have. */
  positions(): Record<string, Position> {
    this.left.clear()
    // A position that is undefined is not sent.
    return Object.fromEntries(
      [...this.channels].map(([name, channel]) => [name, channel.positionForPoll() as Position]),
    )
  }

  drop(channel: Channel): void {
    if (this.channels.get(channel.name) === channel) this.channels.delete(channel.name)
  }

  /** Resets all channels to the state without a connection, and then calls `tell` for each channel that is left. */
  #change(link: Transport | null, givenUp: BroadcasterError | null, tell: (channel: Channel) => void): void {
    const change = ++this.#changes
    this.link = link
    this.left = new Set()
    this.unanswered = new Set()
    this.givenUp = givenUp
    const channels = [...this.channels.values()]
    for (const channel of channels) channel.reset()
    for (const channel of channels) if (change === this.#changes) tell(channel)
  }
}
