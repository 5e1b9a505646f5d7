import { makeConnection, type Connection } from './connection.ts'
import { isDevelopment } from './development.ts'
import { BroadcasterError } from './errors.ts'
import { makeEmitter } from './events.ts'
import type { Listener } from './events.ts'
import { iterateMessages } from './messages.ts'
import { readOptions } from './options.ts'
import { Subscriptions } from './subscriptions.ts'
import type {
  ChannelBody,
  ChannelName,
  ClientOptions,
  Events,
  Inspection,
  Message,
  MessageHandler,
  Snapshot,
  Status,
  SubscribeOptions,
  Subscription,
  TransportName,
} from './types.ts'

/**
 * A client of one broadcaster server.
 *
 * It makes one connection at `connect()` or at the first `subscribe()`, and keeps it until `disconnect()`. After an
 * interruption, every subscribed channel continues at its last position. If messages were missed, the client emits `gap`.
 * The constructor uses neither the page nor the network, so a client can be created while rendering on a server.
 *
 * @example
 * const client = new BroadcasterClient('/broadcast', { auth: () => ({ token: currentToken() }) })
 * const stop = client.subscribe('news', (body) => console.log(body))
 */
export class BroadcasterClient {
  /** What tools for developers see of this client and may do to it, beside its events. */
  readonly inspection: Inspection
  readonly #emitter = makeEmitter()
  readonly #subscriptions: Subscriptions
  readonly #connection: Connection

  /**
   * @param url where the server is mounted: an http(s):// or ws(s):// URL, or a path. A path is resolved like any other
   * URL on the page: against `<base>` if the page has one, in a `srcdoc` or `about:blank` frame against the parent page,
   * in a worker against the URL of its script. A worker that was made from a Blob has no such URL and needs a whole URL.
   * @throws {BroadcasterError} `options`, when the URL or an option is invalid.
   */
  constructor(url: string | URL, options: ClientOptions = {}) {
    const settings = readOptions(url, options)
    this.#subscriptions = new Subscriptions(this.#emitter, settings)
    this.#connection = makeConnection(settings, this.#subscriptions)
    this.inspection = { settings, channels: this.#subscriptions.channels, drop: this.#connection.drop }
  }

  get status(): Status {
    return this.getSnapshot().status
  }

  /** The transport in use. `null` while not connected. */
  get transport(): TransportName | null {
    return this.getSnapshot().transport
  }

  /** Why there is no connection. `null` when there is a connection, or when no error occurred. */
  get error(): BroadcasterError | null {
    return this.getSnapshot().error
  }

  /** The state of the connection. It is the same object until the state changes. Every change emits a `status` event. */
  readonly getSnapshot = (): Snapshot => this.#connection.getSnapshot()

  /**
   * Connects, if the client is not connected. If the client waits before the next attempt, it tries now, unless the server
   * asked for the wait (`error.retryAfterMs`). After `disconnect()` or a refusal it starts again with all subscriptions,
   * and with fresh credentials if `auth` is a function. To switch users, call `disconnect()` and then `connect()`.
   *
   * Resolves when the server has accepted the credentials. Rejects when the client gives up, or with `aborted` when
   * `disconnect()` is called before. You need not handle the rejection: the `disconnected` event has the same information.
   */
  connect(): Promise<void> {
    return this.#connection.connect()
  }

  /**
   * Closes the connection. The client does not reconnect before `connect()`. Subscriptions are kept, and `connect()`
   * restores them. Resolves when the connection is closed.
   */
  disconnect(): Promise<void> {
    return this.#connection.disconnect()
  }

  /**
   * Calls `handler` with every message of the channel, in order. Subscriptions of one channel are reference counted: the
   * server is asked once, and is asked to unsubscribe one second after the last subscription has ended. Connects, if the
   * client is still `idle`.
   *
   * @returns a function that ends the subscription. It has the `status` and the `ready` promise as properties.
   */
  subscribe<Name extends ChannelName>(
    channel: Name,
    handler: MessageHandler<ChannelBody<Name>>,
    options: SubscribeOptions = {},
  ): Subscription {
    if (isDevelopment) {
      if (typeof channel !== 'string' || typeof handler !== 'function') {
        throw new BroadcasterError('options', 'subscribe() takes the name of a channel and a function')
      }
      const { replay = 0 } = options
      if (!(Number.isInteger(replay) && replay >= 0)) {
        throw new BroadcasterError('options', `replay has to be a number of messages, not ${String(replay)}`)
      }
    }
    const subscription = this.#subscriptions.channel(channel).subscribe(handler, options)
    if (this.status === 'idle') void this.connect()
    return subscription
  }

  /**
   * Ends every subscription of the channel. Resolves when the server has answered, or at once if no request is needed.
   * Rejects with `timeout` or `serverError`. In that case the client repeats the request by itself.
   */
  unsubscribe(channel: ChannelName): Promise<void> {
    return this.#subscriptions.channel(channel).unsubscribe()
  }

  /**
   * The messages of a channel, in order: `for await (const message of client.messages('news'))`. The channel is subscribed
   * while the loop runs. If messages arrive faster than the loop takes them, they are kept in memory. `disconnect()` ends
   * the loop. The loop throws when the channel is refused or the client gives up. With the option `channels`, bodies are
   * parsed, and a message that does not fit is an `error` event, not part of the loop.
   */
  messages<Name extends ChannelName>(
    channel: Name,
    { replay = 0 }: Pick<SubscribeOptions, 'replay'> = {},
  ): AsyncIterable<Message<ChannelBody<Name>>> {
    return {
      [Symbol.asyncIterator]: () => iterateMessages(this, channel, replay),
    }
  }

  /** Adds a listener for an event. @returns a function that removes the listener. */
  on<Name extends keyof Events>(event: Name, listener: Listener<Name>): () => void {
    return this.#emitter.on(event, listener)
  }

  /** Adds a listener for the next event of that name only. @returns a function that removes it before. */
  once<Name extends keyof Events>(event: Name, listener: Listener<Name>): () => void {
    return this.#emitter.on(event, listener, true)
  }

  /** Removes the listener, or all listeners of the event if none is given. */
  off<Name extends keyof Events>(event: Name, listener?: Listener<Name>): void {
    this.#emitter.off(event, listener)
  }
}
