import { Connection } from './connection.ts'
import { BroadcasterError } from './errors.ts'
import { makeEmitter } from './events.ts'
import type { Listener } from './events.ts'
import { iterateMessages } from './messages.ts'
import { readOptions } from './options.ts'
import { Subscriptions } from './subscriptions.ts'
import type {
  ChannelName,
  ClientOptions,
  Events,
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
 * Makes one connection, when `connect()` or the first `subscribe()` asks for it, and keeps it until `disconnect()`.
 * Every subscribed channel comes back from where it was after an interruption; where messages were missed, `gap` says
 * so. Creating a client touches nothing of the page or the network, so it can be done while rendering on a server.
 *
 * @example
 * const client = new BroadcasterClient('/broadcast', { auth: () => ({ token: currentToken() }) })
 * const stop = client.subscribe('news', (body) => console.log(body))
 */
export class BroadcasterClient {
  readonly #emitter = makeEmitter()
  readonly #subscriptions: Subscriptions
  readonly #connection: Connection

  /**
   * @param url where the server is mounted: an http(s):// or ws(s):// URL, or a path, which is taken as the browser takes
   * every other: by the page's `<base>` if it has one, in a frame of `srcdoc` or `about:blank` as in the page around it, in
   * a worker by its script's address. A worker that was made from a Blob has none, and needs a whole URL.
   * @throws {BroadcasterError} `options`, when something is not as it should be.
   */
  constructor(url: string | URL, options: ClientOptions = {}) {
    const settings = readOptions(url, options)
    this.#subscriptions = new Subscriptions(this.#emitter, settings.timeoutMs)
    this.#connection = new Connection(settings, this.#emitter, this.#subscriptions)
  }

  get status(): Status {
    return this.#connection.snapshot.status
  }

  /** The transport in use; `null` while not connected. */
  get transport(): TransportName | null {
    return this.#connection.snapshot.transport
  }

  /** Why there is no connection; `null` when there is one, or when nothing went wrong. */
  get error(): BroadcasterError | null {
    return this.#connection.snapshot.error
  }

  /** The connection at this moment: the same object until it changes, and then there is a `status` event. */
  readonly getSnapshot = (): Snapshot => this.#connection.snapshot

  /**
   * Connects, if it is not connected. While the client waits to try again, it tries now, unless the server asked for the
   * wait (`error.retryAfterMs`). After `disconnect()` or a
   * refusal it begins anew, with every subscription there is and with fresh credentials if `auth` is a function: to
   * switch users, `disconnect()` and then `connect()`.
   *
   * Resolves when the server has accepted the credentials. Rejects when the client gives up for good, or with `aborted`
   * when `disconnect()` comes before. A rejection need not be handled: `disconnected` tells the same.
   */
  connect(): Promise<void> {
    return this.#connection.connect()
  }

  /**
   * Closes the connection, and makes no other before `connect()`. Subscriptions stay and come back with that. Resolves
   * when the connection is closed.
   */
  disconnect(): Promise<void> {
    return this.#connection.disconnect()
  }

  /**
   * Hands every message of the channel to `handler`, in order. However many subscribe to a channel, it is subscribed
   * once on the wire, until a second after the last one has ended. Connects, if the client is still `idle`.
   *
   * @returns the function that ends the subscription, with its `status` and its `ready` promise.
   */
  subscribe(channel: ChannelName, handler: MessageHandler, options: SubscribeOptions = {}): Subscription {
    if (typeof channel !== 'string' || typeof handler !== 'function') {
      throw new BroadcasterError('options', 'subscribe() takes the name of a channel and a function')
    }
    const subscription = this.#subscriptions.add(channel, handler, options)
    if (this.status === 'idle') void this.connect()
    return subscription
  }

  /**
   * Ends every subscription of the channel. Resolves when the server has answered, or when there is nothing to ask it
   * for; rejects with `timeout` or `serverError`, and then it is asked again by itself.
   */
  unsubscribe(channel: ChannelName): Promise<void> {
    return this.#subscriptions.remove(channel)
  }

  /**
   * The messages of a channel, in order: `for await (const message of client.messages('news'))`. It is subscribed while
   * the loop runs; what comes faster than the loop takes it is kept in memory. The loop ends with `disconnect()`, and
   * throws when the channel is refused or the client gives up for good.
   */
  messages(channel: ChannelName): AsyncIterable<Message> {
    return iterateMessages((handler, options) => this.subscribe(channel, handler, options), this.#emitter)
  }

  /** Listens to an event. @returns the function that ends it. */
  on<Name extends keyof Events>(event: Name, listener: Listener<Name>): () => void {
    return this.#emitter.on(event, listener)
  }

  /** Listens to the next event of that name only. @returns the function that ends it before. */
  once<Name extends keyof Events>(event: Name, listener: Listener<Name>): () => void {
    return this.#emitter.on(event, listener, true)
  }

  /** Ends listening: of that listener, or of all of the event. */
  off<Name extends keyof Events>(event: Name, listener?: Listener<Name>): void {
    this.#emitter.off(event, listener)
  }
}
