import {
  deferred,
  type Deferred,
  type Position,
  type ServerMessage,
  type Subscribe,
  type SubscribeOk,
  type Unsubscribe,
} from '@broadcaster/protocol'
import { backoffMs } from './backoff.ts'
import { isDevelopment } from './development.ts'
import { BroadcasterError } from './errors.ts'
import { Listeners, type ListenersHost } from './listeners.ts'
import type { Transport } from './transport.ts'
import type { MessageHandler, SubscribeOptions, Subscription } from './types.ts'
import { UNSUBSCRIBE_GRACE_MS } from './times.ts'

export interface ChannelHost extends ListenersHost {
  /** The connection, if there is one. */
  readonly link: Transport | null
  /** Channels that ended after the last poll was sent. Its answer may still hold messages of them. */
  readonly left: Set<string>
  /**
   * Channels whose `unsubscribe` got no answer on this connection. The server may still end them later, when they are subscribed
   * again.
   */
  readonly unanswered: Set<string>
  /** Called when the channel is no longer needed. */
  drop(channel: Channel): void
}

/**
 * The state of the channel at the server of this connection. At most one request is in flight. A failed request is sent
 * again after a pause (`hasFailed`). Until then we do not know whether the server has executed it, because its answer may be lost.
 */
type Wire = 'off' | 'subscribing' | 'on' | 'unsubscribing'

/** One channel: the subscriptions of the application, the state at the server, and the position. */
export class Channel {
  readonly name: string
  readonly listeners: Listeners
  readonly #host: ChannelHost
  #wire: Wire = 'off'
  #hasFailed = false
  /** The timeout of the request in flight, or the pause before the next attempt. */
  #timer: ReturnType<typeof setTimeout> | undefined
  /** There are listeners, or there were some within {@link UNSUBSCRIBE_GRACE_MS}. */
  #isWanted = false
  #graceTimer: ReturnType<typeof setTimeout> | undefined
  /** The request in flight is for a subscription that has ended. A later one does not continue it, so the server has to end it first. */
  #isStale = false
  #failures = 0
  /** The promise of `unsubscribe()`. */
  #whenEnded: Deferred | undefined
  /** Messages that came before the answer to `subscribe`. On long-poll they can overtake it. */
  #held: ServerMessage[] = []

  /** The position of the last message that was received. A subscription continues after it. */
  position: Position | undefined
  /**
   * The position of the last message that came while the channel was not subscribed. The next poll sends it. Otherwise the
   * answer would contain the same messages again.
   */
  #reached: Position | undefined
  /**
   * Whether the next message continues at the position. On long-poll this is not certain until a poll has sent the
   * position, because a request may arrive twice or late. Until then all messages are ignored. The answer to the next poll
   * contains them again.
   */
  #isInStep = false
  /** The server has confirmed the subscription once. Messages that are missed after that are a gap. */
  hasBeenOn = false
  /** The server has confirmed the subscription on this connection. It may be asked again, for older messages. */
  #isOn = false
  /** The number of older messages that the last request asked for. */
  #asked = 0

  constructor(name: string, host: ChannelHost) {
    this.name = name
    this.#host = host
    this.listeners = new Listeners(name, host)
  }

  subscribe(handler: MessageHandler<never>, options: SubscribeOptions): Subscription {
    const subscription = this.listeners.add(handler, options, () => {
      this.#graceTimer = setTimeout(() => this.#want(false), UNSUBSCRIBE_GRACE_MS)
    })
    this.#want(true)
    // Not now: a handler may have called this in the middle of a batch, and during a request no message is delivered.
    if (options.replay) queueMicrotask(() => this.#askForHistory())
    return subscription
  }

  /** Ends all subscriptions. Resolves when the server has answered. */
  unsubscribe(): Promise<void> {
    const { promise } = (this.#whenEnded ??= deferred())
    this.listeners.clear()
    this.#want(false)
    return promise
  }

  /** Sends the next request if the server does not have the state that the application wants. The answer calls this again. */
  sync(): void {
    if (this.#isWanted && this.#wire !== 'unsubscribing') {
      this.#settleEnd()
      if (this.#wire === 'off' && this.listeners.status !== 'refused') this.#requestSubscribe()
    } else if (this.#wire === 'on') {
      this.requestUnsubscribe()
    } else if (this.#wire === 'off') {
      this.#drop()
    }
  }

  /** The connection has changed or ended, so the server does not have the channel. It is kept if it has listeners. */
  reset(): void {
    this.#settleRequest('off')
    if (!this.listeners.count) this.#drop()
  }

  /** The position that a poll sends for this channel, if the server has the channel or may have it. */
  positionForPoll(): Position | undefined {
    if (this.#wire !== 'on') return this.#reached
    if (this.position !== undefined) this.#isInStep = true
    return this.position
  }

  receive(message: ServerMessage): void {
    switch (message.__type) {
      case 'message':
      case 'gap':
      case 'unsubscribed':
        this.#reached = (message as { position?: Position }).position
        if (!this.#isInStep) return
        if (this.#isAskedFor) this.#held.push(message)
        else this.#take(message)
        return
      case 'subscribeOk':
        if (this.#isAskedFor) this.#subscribed(message)
        else if (this.#isStale && !this.#hasFailed) this.requestUnsubscribe()
        return
      case 'subscribeError':
        if (this.#wire === 'subscribing' && !this.#hasFailed)
          this.#refuse(this.hasBeenOn ? 'unsubscribed' : 'refused', message.reason)
        return
      case 'unsubscribeOk':
      case 'unsubscribeError':
        if (this.#wire !== 'unsubscribing' || this.#hasFailed) return
        this.#settleRequest('off')
        if (this.#host.link?.hasPositionsInPolls) this.#host.left.add(this.name)
        this.#settleEnd()
        this.sync()
        return
      case 'serverError':
        this.fail(new BroadcasterError('serverError', message.reason))
    }
  }

  /** The request got no answer, or an error. It is sent again after a pause. */
  fail(error: BroadcasterError): void {
    if (this.#hasFailed || this.#wire === 'off' || this.#wire === 'on') return
    clearTimeout(this.#timer)
    this.#hasFailed = true
    if (this.#wire === 'unsubscribing') this.#host.unanswered.add(this.name)
    this.#timer = setTimeout(
      () => {
        if (this.#isAskedFor) this.#requestSubscribe()
        else this.requestUnsubscribe()
      },
      backoffMs(++this.#failures, error),
    )
    this.#settleEnd(error)
    this.listeners.setStatus('subscribing', error)
  }

  requestUnsubscribe(): void {
    this.#forget()
    clearTimeout(this.#timer)
    this.#request('unsubscribing', { __type: 'unsubscribe', channel: this.name })
  }

  /** A later subscription starts without a position. */
  #forget(): void {
    this.#reached = this.position ?? this.#reached
    this.position = undefined
    this.hasBeenOn = false
    // While the credentials are renewed, it is 'subscribed'.
    this.listeners.setStatus('subscribing')
  }

  #requestSubscribe(): void {
    const { link, left, settings } = this.#host
    if (!link) return
    const { name: channel, position } = this
    if (settings.channelMap && !settings.channelMap.match(channel)) {
      this.#wire = 'subscribing'
      // It comes later, like the answer of a server.
      const reason = isDevelopment ? 'it is not in the option `channels`' : 'not in `channels`'
      return queueMicrotask(() => this.receive({ __type: 'subscribeError', channel, reason }))
    }
    const isResumed = link.hasAdditions && position !== undefined
    const history = (this.#asked = link.hasAdditions ? this.listeners.awaited : 0)
    // A session that did not have the channel starts at the position in the answer. This is also true if the request
    // arrives twice, but not if it asks for older messages.
    this.#isInStep = !link.hasPositionsInPolls || (!isResumed && !history && !left.has(channel))
    this.#request('subscribing', {
      __type: 'subscribe',
      channel,
      // A value that is undefined is not sent.
      position: isResumed ? position : undefined,
      history: history || undefined,
    })
  }

  /** Some listeners came when the channel was subscribed already, or after the request was sent. */
  #askForHistory(): void {
    if (this.#wire === 'on' && this.listeners.awaited) this.#requestSubscribe()
  }

  #request(wire: 'subscribing' | 'unsubscribing', request: Subscribe | Unsubscribe): void {
    const { link, settings, emitter } = this.#host
    const { timeoutMs } = settings
    this.#wire = wire
    this.#hasFailed = this.#isStale = false
    this.#timer = setTimeout(
      () =>
        this.fail(
          new BroadcasterError(
            'timeout',
            isDevelopment &&
              `The server did not answer ${request.__type} '${this.name}' within ${timeoutMs} ms`,
          ),
        ),
      timeoutMs,
    )
    emitter.emit(['wire', request])
    link?.send(request)
  }

  /** An answer to `subscribe` is expected. A late answer may come while the next attempt waits. */
  get #isAskedFor(): boolean {
    return this.#wire === 'subscribing' && !this.#isStale && (!this.#hasFailed || this.#isWanted)
  }

  #subscribed({ position, recovered, reason = 'node', messages = [], history }: SubscribeOk): void {
    const held = this.#held
    // On this connection nothing was missed, unless the server says so.
    const isBack = this.#isOn ? recovered === false : this.hasBeenOn
    this.#settleRequest('on')
    this.hasBeenOn = true
    // Without a replay the channel continues at this position. A server that sends no position does not know the position
    // from another server. If we kept that one, we would later resume before the messages of this server, and receive them
    // twice.
    if (!recovered) this.position = position
    this.listeners.setStatus('subscribed')
    // A server without the additions can't tell what was missed while there was no connection. It may be anything.
    if (isBack && !recovered) this.listeners.tellGap(reason, position)
    // A server that does not know of older messages will not send them later either.
    const asked = history || (!this.#asked && this.#host.link?.hasAdditions) ? this.#asked : Infinity
    this.listeners.deliverHistory(history ?? [], asked, () => this.#wire === 'on')
    for (const replayed of messages) this.#deliver(...replayed)
    if (this.#wire === 'on' && recovered) this.position = position
    for (const message of held) this.#take(message)
    this.sync()
    this.#askForHistory()
  }

  /** Handles a message about the channel, in order. */
  #take(message: ServerMessage): void {
    // The message was in flight when the channel was unsubscribed.
    if (this.#wire !== 'on') return
    if (message.__type === 'message') {
      this.#deliver(message.body, message.position)
    } else if (message.__type === 'gap') {
      this.position = message.position
      this.listeners.tellGap(message.reason, message.position)
    } else if (message.__type === 'unsubscribed') {
      if (!this.#host.unanswered.has(this.name)) return this.#refuse('unsubscribed', message.reason)
      // It may be a late effect of our own request. We subscribe again, and the server decides whether we may.
      this.#settleRequest('off')
      this.sync()
    }
  }

  #deliver(body: string, position: Position | undefined): void {
    // A handler may have called disconnect() or unsubscribe() in the middle of a batch.
    if (this.#wire !== 'on') return
    this.position = position
    this.listeners.deliver(body, position)
  }

  #refuse(code: 'refused' | 'unsubscribed', reason: string): void {
    this.#settleRequest('off')
    this.listeners.setStatus('refused', new BroadcasterError(code, `Channel '${this.name}': ${reason}`))
    this.sync()
  }

  #settleRequest(wire: 'on' | 'off'): void {
    clearTimeout(this.#timer)
    this.#wire = wire
    this.#isOn = wire === 'on'
    this.#hasFailed = this.#isStale = false
    this.#failures = 0
    this.#held = []
    if (wire === 'off') this.#reached = undefined
  }

  #want(isWanted: boolean): void {
    clearTimeout(this.#graceTimer)
    this.#isWanted = isWanted
    if (!isWanted && this.#wire === 'subscribing') {
      this.#isStale = true
      this.#forget()
    }
    this.sync()
  }

  /** Answers `unsubscribe()`. */
  #settleEnd(error?: BroadcasterError): void {
    if (error) this.#whenEnded?.reject(error)
    else this.#whenEnded?.resolve()
    this.#whenEnded = undefined
  }

  #drop(): void {
    clearTimeout(this.#graceTimer)
    this.#isWanted = false
    this.#settleEnd()
    this.#host.drop(this)
  }
}
