import type { Position, ServerMessage, Subscribe, SubscribeOk, Unsubscribe } from '@broadcaster/protocol'
import { backoffMs } from './backoff.ts'
import { Channel } from './channel.ts'
import type { Wire } from './channel.ts'
import { deferred } from './deferred.ts'
import { BroadcasterError } from './errors.ts'
import type { Emitter } from './events.ts'
import { abandon, makeListener, makeSubscription, settle } from './subscription.ts'
import type { Listener } from './subscription.ts'
import type {
  Gap,
  Message,
  MessageHandler,
  SubscribeOptions,
  Subscription,
  SubscriptionStatus,
} from './types.ts'

/**
 * How long a channel without listeners stays subscribed: a component that React mounts twice, or a page that is left
 * for one with the same channel, costs nothing on the wire.
 */
export const UNSUBSCRIBE_GRACE_MS = 1_000

type Send = (request: Subscribe | Unsubscribe) => void

/**
 * The channels that somebody listens to, kept subscribed on whatever connection there is, each from its position.
 */
export class Subscriptions {
  readonly #emitter: Emitter
  readonly #timeoutMs: number
  readonly #channels = new Map<string, Channel>()
  #send: Send | null = null
  #hasAdditions = false
  /** The client has given up; so have new subscriptions. */
  #final: BroadcasterError | null = null

  constructor(emitter: Emitter, timeoutMs: number) {
    this.#emitter = emitter
    this.#timeoutMs = timeoutMs
  }

  add(name: string, handler: MessageHandler, options: SubscribeOptions): Subscription {
    let channel = this.#channels.get(name)
    if (!channel) {
      channel = new Channel(name)
      if (this.#final) Object.assign(channel, { status: 'error', error: this.#final })
      this.#channels.set(name, channel)
    }
    const listener = makeListener(channel, handler, options)
    clearTimeout(channel.grace)
    channel.grace = undefined
    channel.listeners = [...channel.listeners, listener]
    this.#sync(channel)
    return makeSubscription(channel, listener, () => this.#removeListener(channel, listener))
  }

  /** Takes all listeners of a channel away; resolves when the server has answered. */
  remove(name: string): Promise<void> {
    const channel = this.#channels.get(name)
    if (!channel) return Promise.resolve()
    const answer = deferred()
    channel.waiting.push(answer)
    for (const listener of channel.listeners) abandon(listener, channel)
    channel.listeners = []
    clearTimeout(channel.grace)
    channel.grace = undefined
    this.#sync(channel)
    return answer.promise
  }

  /** There is a connection, with nothing subscribed: subscribes everything. */
  attach(send: Send, hasAdditions: boolean): void {
    this.#send = send
    this.#hasAdditions = hasAdditions
    this.#final = null
    for (const channel of this.#channels.values()) {
      this.#reset(channel)
      // What is subscribed stays so while it moves from one transport to another.
      if (channel.status !== 'subscribed') this.#setStatus(channel, 'subscribing', null)
      this.#sync(channel)
    }
  }

  /** There is no connection; with an error, there will be none. */
  detach(final: BroadcasterError | null = null): void {
    this.#send = null
    this.#final = final
    for (const channel of this.#channels.values()) {
      this.#reset(channel)
      if (final) this.#setStatus(channel, 'error', final)
      else if (channel.status === 'subscribed') this.#setStatus(channel, 'subscribing', null)
    }
  }

  /** `connect()` was called: what was given up is wanted again. */
  revive(): void {
    this.#final = null
    for (const channel of this.#channels.values()) {
      if (channel.status === 'error') this.#setStatus(channel, 'subscribing', null)
    }
  }

  /** What has been received of the channels that the server has confirmed. */
  positions(): Record<string, Position> {
    const entries: [string, Position][] = []
    for (const { name, wire, position } of this.#channels.values()) {
      if (wire === 'on' && position !== undefined) entries.push([name, position])
    }
    return Object.fromEntries(entries)
  }

  receive(message: ServerMessage): void {
    const { channel: name } = message as { channel?: string }
    const channel = name === undefined ? undefined : this.#channels.get(name)
    if (!channel) {
      if (message.__type === 'serverError') this.#emitter.emit('error', serverError(message.reason))
      return
    }
    switch (message.__type) {
      case 'message':
      case 'gap':
      case 'unsubscribed':
        if (this.#isAskedFor(channel)) channel.held.push(message)
        else this.#take(channel, message)
        return
      case 'subscribeOk':
        if (this.#isAskedFor(channel)) this.#subscribed(channel, message)
        return
      case 'subscribeError':
        if (channel.wire === 'subscribing') this.#refuse(channel, 'refused', message.reason)
        return
      case 'unsubscribeOk':
      case 'unsubscribeError':
        if (channel.wire === 'unsubscribing') this.#unsubscribed(channel)
        return
      case 'serverError':
        this.#requestFailed(channel, serverError(message.reason))
    }
  }

  /** Whether the answer to `subscribe` is to come. One that is late may come while the next try is waited for. */
  #isAskedFor({ wire, isWanted }: Channel): boolean {
    return wire === 'subscribing' || (wire === 'waiting to retry' && isWanted)
  }

  /** Brings the wire nearer to what is wanted, by one request; its answer calls this again. */
  #sync(channel: Channel): void {
    if (!channel.isWanted) {
      if (this.#send && (channel.wire === 'on' || (channel.wire === 'off' && channel.mayBeOnServer))) {
        this.#request(channel, 'unsubscribe')
      } else if (channel.wire === 'off') {
        this.#drop(channel)
      }
      return
    }
    channel.resolveWaiting()
    if (this.#send && channel.wire === 'off' && channel.status !== 'refused')
      this.#request(channel, 'subscribe')
  }

  #request(channel: Channel, type: 'subscribe' | 'unsubscribe'): void {
    const { name } = channel
    if (type === 'subscribe') {
      channel.wire = 'subscribing'
      channel.mayBeOnServer = true
      const { position } = channel
      const isResumed = this.#hasAdditions && position !== undefined
      this.#send!(isResumed ? { __type: type, channel: name, position } : { __type: type, channel: name })
    } else {
      channel.wire = 'unsubscribing'
      // Who subscribes again after this begins anew.
      channel.position = undefined
      channel.hasBeenOn = false
      this.#setStatus(channel, 'subscribing', null)
      this.#send!({ __type: type, channel: name })
    }
    channel.timer = setTimeout(() => {
      const message = `The server did not answer ${type} '${name}' within ${this.#timeoutMs} ms`
      this.#requestFailed(channel, new BroadcasterError('timeout', message))
    }, this.#timeoutMs)
  }

  #requestFailed(channel: Channel, error: BroadcasterError): void {
    if (channel.wire !== 'subscribing' && channel.wire !== 'unsubscribing') return
    clearTimeout(channel.timer)
    channel.wire = 'waiting to retry'
    channel.failures++
    channel.timer = setTimeout(() => {
      channel.wire = 'off'
      this.#sync(channel)
    }, backoffMs(channel.failures))
    for (const answer of channel.waiting.splice(0)) answer.reject(error)
    this.#setStatus(channel, 'subscribing', error)
  }

  #subscribed(channel: Channel, answer: SubscribeOk): void {
    const { held, hasBeenOn, failures } = channel
    const replayed = answer.messages ?? []
    this.#settleRequest(channel, 'on')
    channel.hasBeenOn = true
    this.#setStatus(channel, 'subscribed', null)
    // A server without the additions can't say what was missed while there was no connection: anything.
    if (hasBeenOn && !answer.recovered) this.#tellGap(channel, answer.reason ?? 'node', answer.position)
    for (const [body, position] of replayed) this.#deliver(channel, body, position)
    if (channel.wire === 'on' && answer.position !== undefined) channel.position = answer.position
    if (failures > 0) channel.seen = new Set(replayed.map(([, position]) => position))
    for (const message of held) this.#take(channel, message)
    this.#sync(channel)
  }

  /** A message about a subscribed channel, in its turn. */
  #take(channel: Channel, message: ServerMessage): void {
    // Where it is not subscribed any more, it was on its way.
    if (channel.wire !== 'on') return
    if (message.__type === 'message') {
      if (channel.seen?.has(message.position!)) return
      this.#deliver(channel, message.body, message.position)
    } else if (message.__type === 'gap') {
      channel.position = message.position
      this.#tellGap(channel, message.reason, message.position)
    } else if (message.__type === 'unsubscribed') {
      this.#refuse(channel, 'unsubscribed', message.reason)
    }
  }

  #deliver(channel: Channel, body: string, position: Position | undefined): void {
    // A handler may have disconnected, or unsubscribed, in the middle of a batch.
    if (channel.wire !== 'on') return
    if (position !== undefined) channel.position = position
    if (channel.listeners.length === 0) return
    const { name } = channel
    const message: Message =
      position === undefined ? { channel: name, body } : { channel: name, body, position }
    for (const listener of channel.listeners) {
      this.#call(channel, listener, () => listener.handler(body, message))
    }
    this.#emitter.emit('message', name, body, message)
    this.#emitter.emit(`message:${name}`, body, message)
  }

  #tellGap(channel: Channel, reason: Gap['reason'], position: Position | undefined): void {
    if (channel.listeners.length === 0) return
    const { name } = channel
    const gap: Gap = position === undefined ? { channel: name, reason } : { channel: name, reason, position }
    for (const listener of channel.listeners)
      this.#call(channel, listener, () => listener.options.onGap?.(gap))
    this.#emitter.emit('gap', gap)
  }

  #call(channel: Channel, listener: Listener, call: () => void): void {
    if (!listener.isActive) return
    try {
      call()
    } catch (thrown) {
      this.#emitter.failed(`A handler of channel '${channel.name}' threw`, thrown)
    }
  }

  #refuse(channel: Channel, code: 'refused' | 'unsubscribed', reason: string): void {
    this.#settleRequest(channel, 'off')
    channel.mayBeOnServer = false
    this.#setStatus(channel, 'refused', new BroadcasterError(code, `Channel '${channel.name}': ${reason}`))
    this.#sync(channel)
  }

  #unsubscribed(channel: Channel): void {
    this.#settleRequest(channel, 'off')
    channel.mayBeOnServer = false
    channel.resolveWaiting()
    this.#sync(channel)
  }

  #settleRequest(channel: Channel, wire: Wire): void {
    clearTimeout(channel.timer)
    channel.wire = wire
    channel.failures = 0
    channel.held = []
  }

  /** Nothing of the channel is on any wire; it is kept if somebody listens. */
  #reset(channel: Channel): void {
    this.#settleRequest(channel, 'off')
    channel.mayBeOnServer = false
    channel.seen = null
    if (channel.listeners.length === 0) this.#drop(channel)
  }

  #drop(channel: Channel): void {
    clearTimeout(channel.grace)
    channel.grace = undefined
    channel.resolveWaiting()
    if (this.#channels.get(channel.name) === channel) this.#channels.delete(channel.name)
  }

  #removeListener(channel: Channel, listener: Listener): void {
    if (!listener.isActive) return
    abandon(listener, channel)
    channel.listeners = channel.listeners.filter((other) => other !== listener)
    if (channel.listeners.length > 0) return
    channel.grace = setTimeout(() => {
      channel.grace = undefined
      this.#sync(channel)
    }, UNSUBSCRIBE_GRACE_MS)
  }

  #setStatus(channel: Channel, status: SubscriptionStatus, error: BroadcasterError | null): void {
    if (channel.status === status && channel.error === error) return
    const isNew = channel.status !== status
    channel.status = status
    channel.error = error
    for (const listener of channel.listeners) {
      if (isNew) settle(listener, channel)
      this.#call(channel, listener, () => listener.options.onStatus?.(status, error))
    }
  }
}

function serverError(reason: string): BroadcasterError {
  return new BroadcasterError('serverError', reason)
}
