import { parseBody, type SchemaError } from '@broadcaster/channels'
import type { BroadcasterClient, BroadcasterError, Message, SubscriptionStatus } from '@broadcaster/client'
import { onNextFrame } from './frame.ts'
import type { ChannelOptions, ChannelState, ChannelStatus, ReceivedMessage } from './types.ts'

let lastId = 0

/** The state of one channel in one component, for useSyncExternalStore(). */
export class ChannelStore<Body> {
  readonly #client: BroadcasterClient
  readonly #channel: string | null

  #handlers: ChannelOptions<Body> = {}
  #status: SubscriptionStatus = 'subscribing'
  #error: BroadcasterError | null = null
  #latest: ReceivedMessage<Body> | null = null
  #latestIsRead = false
  #notify: (() => void) | undefined
  #wasAway = false
  /** Whether it has subscribed before, so that it has its older messages. */
  #hasBegun = false

  #state = this.#takeState(this.#status)
  #idleState = this.#takeState('idle')

  constructor(client: BroadcasterClient, channel: string | null) {
    this.#client = client
    this.#channel = channel
  }

  readonly getState = (): ChannelState<Body> => this.#state
  readonly getIdleState = (): ChannelState<Body> => this.#idleState

  /** Sets the handlers. The returned function removes them. */
  handleWith(handlers: ChannelOptions<Body>): () => void {
    this.#handlers = handlers
    return () => {
      this.#handlers = {}
    }
  }

  readonly subscribe = (notify: () => void): (() => void) => {
    const channel = this.#channel!
    const subscription = this.#client.subscribe(
      channel,
      (body: unknown, message) => this.#receive(message, () => body as Body),
      {
        onGap: (gap) => this.#handlers.onGap?.(gap),
        onStatus: this.#onStatus,
        onError: (error, message) =>
          this.#receive(message, () => {
            throw error
          }),
        wasAway: this.#wasAway,
        replay: this.#hasBegun ? 0 : (this.#handlers.replay ?? 0),
      },
    )
    this.#notify = notify
    // No need to notify. React reads the state again after it has subscribed.
    this.#setStatus(subscription.status, subscription.error)
    this.#checkWhetherAway()

    return () => {
      subscription()
      this.#notify = undefined
      this.#setStatus('subscribing', null)
      this.#idleState = this.#takeState('idle')
      this.#checkWhetherAway()
    }
  }

  /**
   * StrictMode and hot reload subscribe again at once, so they miss no messages. A hook that was disabled, or an <Activity>
   * that was hidden, subscribes again later, and then messages were missed.
   */
  #checkWhetherAway(): void {
    queueMicrotask(() => {
      this.#wasAway = this.#notify === undefined
      this.#hasBegun = true
    })
  }

  /**
   * @param parsed returns the body as the client has parsed it, or throws. A `schema` of the hook is used instead.
   * @returns what the handler returns. It may be a promise. The client handles its rejection.
   */
  #receive(message: Message, parsed: () => Body): unknown {
    const { schema, onMessage, onError } = this.#handlers
    let body: Body
    try {
      body = schema ? parseBody(schema, message.channel, message.body) : parsed()
    } catch (error) {
      if (!onError) throw error
      return onError(error as SchemaError, message)
    }
    const received: ReceivedMessage<Body> = { ...message, body, id: ++lastId }
    this.#latest = received
    onNextFrame(this.#showLatest)
    return onMessage?.(body, received)
  }

  readonly #showLatest = (): void => {
    this.#state = this.#takeState(this.#status)
    if (this.#latestIsRead) this.#notify?.()
  }

  readonly #onStatus = (status: SubscriptionStatus, error: BroadcasterError | null): unknown => {
    this.#setStatus(status, error)
    this.#notify?.()
    return error && status !== 'subscribing' ? this.#handlers.onError?.(error) : undefined
  }

  #setStatus(status: SubscriptionStatus, error: BroadcasterError | null): void {
    if (status === this.#status && error === this.#error) return
    this.#status = status
    this.#error = error
    this.#state = this.#takeState(status)
  }

  #takeState(status: ChannelStatus): ChannelState<Body> {
    const latest = this.#latest
    const read = () => {
      this.#latestIsRead = true
      return latest
    }
    return {
      status,
      error: status === 'idle' ? null : this.#error,
      get latest() {
        return read()
      },
    }
  }
}
