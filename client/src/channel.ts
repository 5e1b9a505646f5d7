import type { Position, ServerMessage, Subscribe, SubscribeOk, Unsubscribe } from '@broadcaster/protocol'
import { backoffMs } from './backoff.ts'
import { deferred } from './deferred.ts'
import type { Deferred } from './deferred.ts'
import { BroadcasterError } from './errors.ts'
import type { Emitter } from './events.ts'
import { Listeners } from './listeners.ts'
import type { MessageHandler, SubscribeOptions, Subscription } from './types.ts'

/**
 * How long a channel without listeners stays subscribed: a component that React mounts twice, or a page that is left
 * for one with the same channel, costs nothing on the wire.
 */
export const UNSUBSCRIBE_GRACE_MS = 1_000

/** The connection, as its channels see it. Another connection is another link. */
export interface Link {
  send(request: Subscribe | Unsubscribe): void
  readonly hasAdditions: boolean
  /** Messages come as answers to polls, and each poll says the position of each channel. */
  readonly hasPositionsInPolls: boolean
  /** Channels that ended after the last poll was sent. Its answer may still hold messages of them. */
  readonly left: Set<string>
  /** Channels that the server was asked to end, and did not answer. It may still end them, when they are wanted again. */
  readonly unanswered: Set<string>
}

export interface ChannelHost {
  readonly link: Link | null
  readonly emitter: Emitter
  readonly timeoutMs: number
  /** Why the client has given up, if it has. */
  readonly givenUp: BroadcasterError | null
  /** Nobody needs the channel any more. */
  drop(channel: Channel): void
}

/**
 * What the server of this connection has of the channel. At most one request is on its way. A failed request is sent
 * again after a pause; until then the server may have done it or not, since an answer can get lost.
 */
type Wire = 'off' | 'subscribing' | 'on' | 'unsubscribing' | 'subscribe has failed' | 'unsubscribe has failed'

/** One channel: what the application wants of it, what the server has of it, and the position between them. */
export class Channel {
  readonly name: string
  readonly listeners: Listeners
  readonly #host: ChannelHost
  #wire: Wire = 'off'
  /** For the answer, or for the next try. */
  #timer: ReturnType<typeof setTimeout> | undefined
  /** Runs while the channel stays subscribed though it has no listeners. */
  #grace: ReturnType<typeof setTimeout> | undefined
  #failures = 0
  /** Callers of `unsubscribe()`. */
  #waiting: Deferred[] = []
  /** Messages that came before the answer to `subscribe`. On long-poll they can overtake it. */
  #held: ServerMessage[] = []

  /** Of the last message that was received. */
  #position: Position | undefined
  /**
   * Of the last message that came while the channel was not subscribed. The next poll says it, because otherwise its answer
   * would hold the same messages again.
   */
  #reached: Position | undefined
  /**
   * What comes continues at the position. On long-poll this is not certain until a poll has said the position, because a
   * request may arrive twice or late. Until then everything is ignored, and the answer to the next poll has it again.
   */
  #isInStep = false
  /** It was confirmed once. What is missed after that is a gap. */
  #hasBeenOn = false

  constructor(name: string, host: ChannelHost) {
    this.name = name
    this.#host = host
    this.listeners = new Listeners(name, host.emitter, host.givenUp)
  }

  subscribe(handler: MessageHandler, options: SubscribeOptions): Subscription {
    const subscription = this.listeners.add(handler, options, () => {
      this.#grace = setTimeout(() => {
        this.#grace = undefined
        this.sync()
      }, UNSUBSCRIBE_GRACE_MS)
    })
    this.#endGrace()
    this.sync()
    return subscription
  }

  /** Ends all subscriptions. Resolves when the server has answered. */
  unsubscribe(): Promise<void> {
    const answer = deferred()
    this.#waiting.push(answer)
    this.listeners.clear()
    this.#endGrace()
    this.sync()
    return answer.promise
  }

  /** Sends the next request that brings the server nearer to what the application wants. Its answer calls this again. */
  sync(): void {
    const isLeaving = this.#wire === 'unsubscribing' || this.#wire === 'unsubscribe has failed'
    if (this.#isWanted && !isLeaving) {
      this.#resolveWaiting()
      if (this.#wire === 'off' && this.listeners.status !== 'refused') this.#requestSubscribe()
    } else if (this.#wire === 'on') {
      this.requestUnsubscribe()
    } else if (this.#wire === 'off') {
      this.#drop()
    }
  }

  /** There is another connection, or none: no server has the channel. It is kept if it has listeners. */
  reset(): void {
    this.#settleRequest('off')
    if (this.listeners.isEmpty) this.#drop()
  }

  /** What a poll says of this channel: where it is, if the server has it or may have it. */
  positionForPoll(): Position | undefined {
    if (this.#wire !== 'on') return this.#reached
    if (this.#position !== undefined) this.#isInStep = true
    return this.#position
  }

  receive(message: ServerMessage): void {
    switch (message.__type) {
      case 'message':
      case 'gap':
      case 'unsubscribed':
        this.#reached = message.__type === 'unsubscribed' ? undefined : message.position
        if (!this.#isInStep) return
        if (this.#isAskedFor) this.#held.push(message)
        else this.#take(message)
        return
      case 'subscribeOk':
        if (this.#isAskedFor) this.#subscribed(message)
        return
      case 'subscribeError':
        if (this.#wire === 'subscribing') this.#refuse('refused', message.reason)
        return
      case 'unsubscribeOk':
      case 'unsubscribeError':
        if (this.#wire === 'unsubscribing') this.#unsubscribed()
        return
      case 'serverError':
        this.fail(new BroadcasterError('serverError', message.reason))
    }
  }

  /** The request was not answered, or with an error. It is sent again after a pause. */
  fail(error: BroadcasterError): void {
    const isLeaving = this.#wire === 'unsubscribing'
    if (!isLeaving && this.#wire !== 'subscribing') return
    clearTimeout(this.#timer)
    this.#wire = isLeaving ? 'unsubscribe has failed' : 'subscribe has failed'
    if (isLeaving) this.#host.link?.unanswered.add(this.name)
    this.#timer = setTimeout(
      () => {
        if (this.#isAskedFor) this.#requestSubscribe()
        else this.requestUnsubscribe()
      },
      backoffMs(++this.#failures) + (error.retryAfterMs ?? 0),
    )
    for (const answer of this.#waiting.splice(0)) answer.reject(error)
    this.listeners.setStatus('subscribing', error)
  }

  requestUnsubscribe(): void {
    this.#reached = this.#position ?? this.#reached
    // A later subscription begins anew.
    this.#position = undefined
    this.#hasBeenOn = false
    this.#request('unsubscribing', { __type: 'unsubscribe', channel: this.name })
    this.listeners.setStatus('subscribing', null)
  }

  #requestSubscribe(): void {
    const { link } = this.#host
    if (!link) return
    const { name: channel } = this
    const position = this.#position
    const isResumed = link.hasAdditions && position !== undefined
    // A session that did not have the channel begins at the position in its answer, however often it was asked.
    this.#isInStep = !link.hasPositionsInPolls || (!isResumed && !link.left.has(channel))
    const request: Subscribe = { __type: 'subscribe', channel }
    this.#request('subscribing', isResumed ? { ...request, position } : request)
  }

  #request(wire: 'subscribing' | 'unsubscribing', request: Subscribe | Unsubscribe): void {
    const { link, timeoutMs } = this.#host
    if (!link) return
    this.#wire = wire
    this.#timer = setTimeout(() => {
      const message = `The server did not answer ${request.__type} '${this.name}' within ${timeoutMs} ms`
      this.fail(new BroadcasterError('timeout', message))
    }, timeoutMs)
    link.send(request)
  }

  /** The answer to `subscribe` is to come. A late one may come while the next try waits. */
  get #isAskedFor(): boolean {
    return this.#wire === 'subscribing' || (this.#wire === 'subscribe has failed' && this.#isWanted)
  }

  #subscribed({ position, recovered, reason, messages = [] }: SubscribeOk): void {
    const held = this.#held
    const isBack = this.#hasBeenOn
    this.#settleRequest('on')
    this.#hasBeenOn = true
    // Without a replay the channel continues here. A server that gives no position does not know the one of another
    // server. If we kept that, we would resume behind what we receive from this server, and receive it again.
    if (!recovered) this.#position = position
    this.listeners.setStatus('subscribed', null)
    // A server without the additions can't say what was missed while there was no connection: anything.
    if (isBack && !recovered) this.listeners.tellGap(reason ?? 'node', position)
    for (const [body, at] of messages) this.#deliver(body, at)
    if (this.#wire === 'on' && recovered) this.#position = position
    for (const message of held) this.#take(message)
    this.sync()
  }

  /** A message about the channel, in its turn. */
  #take(message: ServerMessage): void {
    // The channel is not subscribed any more: the message was on its way.
    if (this.#wire !== 'on') return
    if (message.__type === 'message') {
      this.#deliver(message.body, message.position)
    } else if (message.__type === 'gap') {
      this.#position = message.position
      this.listeners.tellGap(message.reason, message.position)
    } else if (message.__type === 'unsubscribed') {
      if (!this.#host.link?.unanswered.has(this.name)) return this.#refuse('unsubscribed', message.reason)
      // It may be the late effect of our own request. We subscribe again, and the server says whether we may.
      this.#settleRequest('off')
      this.sync()
    }
  }

  #deliver(body: string, position: Position | undefined): void {
    // A handler may have disconnected or unsubscribed in the middle of a batch.
    if (this.#wire !== 'on') return
    this.#position = position
    this.listeners.deliver(body, position)
  }

  #refuse(code: 'refused' | 'unsubscribed', reason: string): void {
    this.#settleRequest('off')
    this.listeners.setStatus('refused', new BroadcasterError(code, `Channel '${this.name}': ${reason}`))
    this.sync()
  }

  #unsubscribed(): void {
    this.#settleRequest('off')
    const { link } = this.#host
    if (link?.hasPositionsInPolls) link.left.add(this.name)
    this.#resolveWaiting()
    this.sync()
  }

  #settleRequest(wire: 'on' | 'off'): void {
    clearTimeout(this.#timer)
    this.#wire = wire
    this.#failures = 0
    this.#held = []
    if (wire === 'off') this.#reached = undefined
  }

  get #isWanted(): boolean {
    return !this.listeners.isEmpty || this.#grace !== undefined
  }

  #endGrace(): void {
    clearTimeout(this.#grace)
    this.#grace = undefined
  }

  #resolveWaiting(): void {
    for (const answer of this.#waiting.splice(0)) answer.resolve()
  }

  #drop(): void {
    this.#endGrace()
    this.#resolveWaiting()
    this.#host.drop(this)
  }
}
