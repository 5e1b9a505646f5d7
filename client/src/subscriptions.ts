import type { Position, ServerMessage, Subscribe, SubscribeOk, Unsubscribe } from '@broadcaster/protocol'
import { backoffMs } from './backoff.ts'
import { isWanted, makeChannel, resolveWaiting } from './channel.ts'
import type { Channel, Wire } from './channel.ts'
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
export interface Subscriptions {
  add(name: string, handler: MessageHandler, options: SubscribeOptions): Subscription
  /** Takes all listeners of a channel away; resolves when the server has answered. */
  remove(name: string): Promise<void>
  /** There is a connection, with nothing subscribed: subscribes everything. */
  attach(send: Send, hasAdditions: boolean, hasTellingPolls: boolean): void
  /** There is no connection; with an error, there will be none. */
  detach(final?: BroadcasterError | null): void
  /** `connect()` was called: what was given up is wanted again. */
  revive(): void
  receive(message: ServerMessage): void
  /** A request about this channel was not answered. */
  fail(name: string, error: BroadcasterError): void
  /** What has come of the channels that the server has, or may have. */
  positions(): Record<string, Position>
}

export function makeSubscriptions(emitter: Emitter, timeoutMs: number): Subscriptions {
  const channels = new Map<string, Channel>()
  let send: Send | null = null
  let hasAdditions = false
  /** What comes is answers to polls, each from the positions that were told. */
  let hasTellingPolls = false
  /** Channels that were ended since the last poll was sent: it may still bring something of them. */
  const left = new Set<string>()
  /** Channels that the server was asked to end without an answer: that may arrive late, when they are wanted again. */
  const unanswered = new Set<string>()
  /** The client has given up; so have new subscriptions. */
  let givenUp: BroadcasterError | null = null

  return { add, remove, attach, detach, revive, receive, fail, positions }

  function add(name: string, handler: MessageHandler, options: SubscribeOptions): Subscription {
    let channel = channels.get(name)
    if (!channel) {
      channel = makeChannel(name)
      if (givenUp) Object.assign(channel, { status: 'error', error: givenUp })
      channels.set(name, channel)
    }
    const listener = makeListener(channel, handler, options)
    clearTimeout(channel.grace)
    channel.grace = undefined
    channel.listeners = [...channel.listeners, listener]
    sync(channel)
    if (options.wasAway) {
      const gap: Gap = { channel: name, reason: 'expired' }
      queueMicrotask(() => call(channel, listener, () => options.onGap?.(gap)))
    }
    return makeSubscription(channel, listener, () => removeListener(channel, listener))
  }

  function remove(name: string): Promise<void> {
    const channel = channels.get(name)
    if (!channel) return Promise.resolve()
    const answer = deferred()
    channel.waiting.push(answer)
    for (const listener of channel.listeners) abandon(listener, channel)
    channel.listeners = []
    clearTimeout(channel.grace)
    channel.grace = undefined
    sync(channel)
    return answer.promise
  }

  function attach(newSend: Send, knowsAdditions: boolean, tells: boolean): void {
    send = newSend
    hasAdditions = knowsAdditions
    hasTellingPolls = tells
    givenUp = null
    left.clear()
    unanswered.clear()
    for (const channel of channels.values()) {
      reset(channel)
      // What is subscribed stays so while it moves from one transport to another.
      if (channel.status !== 'subscribed') setStatus(channel, 'subscribing', null)
      sync(channel)
    }
  }

  function detach(final: BroadcasterError | null = null): void {
    send = null
    givenUp = final
    for (const channel of channels.values()) {
      reset(channel)
      if (final) setStatus(channel, 'error', final)
      else if (channel.status === 'subscribed') setStatus(channel, 'subscribing', null)
    }
  }

  function revive(): void {
    givenUp = null
    for (const channel of channels.values()) {
      if (channel.status === 'error') setStatus(channel, 'subscribing', null)
    }
  }

  function positions(): Record<string, Position> {
    const entries: [string, Position][] = []
    for (const channel of channels.values()) {
      const isOn = channel.wire === 'on'
      const position = isOn ? channel.position : channel.reached
      if (position === undefined) continue
      entries.push([channel.name, position])
      if (isOn) channel.isInStep = true
    }
    left.clear()
    return Object.fromEntries(entries)
  }

  function receive(message: ServerMessage): void {
    const { channel: name } = message as { channel?: string }
    const channel = name === undefined ? undefined : channels.get(name)
    if (!channel) {
      if (message.__type === 'serverError') emitter.emit('error', serverError(message.reason))
      if (message.__type === 'message' || message.__type === 'gap') endUnknown(message.channel)
      return
    }
    switch (message.__type) {
      case 'message':
      case 'gap':
      case 'unsubscribed':
        channel.reached = message.__type === 'unsubscribed' ? undefined : message.position
        if (!channel.isInStep) return
        if (isAskedFor(channel)) channel.held.push(message)
        else take(channel, message)
        return
      case 'subscribeOk':
        if (isAskedFor(channel)) subscribed(channel, message)
        return
      case 'subscribeError':
        if (channel.wire === 'subscribing') refuse(channel, 'refused', message.reason)
        return
      case 'unsubscribeOk':
      case 'unsubscribeError':
        if (channel.wire === 'unsubscribing') unsubscribed(channel)
        return
      case 'serverError':
        requestFailed(channel, serverError(message.reason))
    }
  }

  function fail(name: string, error: BroadcasterError): void {
    const channel = channels.get(name)
    if (channel) requestFailed(channel, error)
  }

  /** A request that came late has made a long-poll session have a channel that it should not have any more. */
  function endUnknown(name: string): void {
    const channel = makeChannel(name)
    channel.mayBeOnServer = true
    channels.set(name, channel)
    sync(channel)
  }

  /** Whether the answer to `subscribe` is to come. One that is late may come while the next try is waited for. */
  function isAskedFor(channel: Channel): boolean {
    const { wire } = channel
    return wire === 'subscribing' || (wire === 'waiting to retry' && isWanted(channel) && !channel.isLeaving)
  }

  /** Brings the wire nearer to what is wanted, by one request; its answer calls this again. */
  function sync(channel: Channel): void {
    if (!isWanted(channel) || channel.isLeaving) {
      if (send && (channel.wire === 'on' || (channel.wire === 'off' && channel.mayBeOnServer))) {
        request(channel, 'unsubscribe')
      } else if (channel.wire === 'off' && !isWanted(channel)) {
        drop(channel)
      }
      return
    }
    resolveWaiting(channel)
    if (send && channel.wire === 'off' && channel.status !== 'refused') request(channel, 'subscribe')
  }

  function request(channel: Channel, type: 'subscribe' | 'unsubscribe'): void {
    const { name } = channel
    if (type === 'subscribe') {
      channel.wire = 'subscribing'
      channel.mayBeOnServer = true
      const { position } = channel
      const isResumed = hasAdditions && position !== undefined
      // A session that has not had the channel begins where its answer says, however often it was asked.
      channel.isInStep = !hasTellingPolls || (!isResumed && !left.has(name))
      send!(isResumed ? { __type: type, channel: name, position } : { __type: type, channel: name })
    } else {
      channel.wire = 'unsubscribing'
      channel.isLeaving = true
      channel.reached = channel.position ?? channel.reached
      // Who subscribes again after this begins anew.
      channel.position = undefined
      channel.hasBeenOn = false
      setStatus(channel, 'subscribing', null)
      send!({ __type: type, channel: name })
    }
    channel.timer = setTimeout(() => {
      const message = `The server did not answer ${type} '${name}' within ${timeoutMs} ms`
      requestFailed(channel, new BroadcasterError('timeout', message))
    }, timeoutMs)
  }

  function requestFailed(channel: Channel, error: BroadcasterError): void {
    if (channel.wire !== 'subscribing' && channel.wire !== 'unsubscribing') return
    clearTimeout(channel.timer)
    if (channel.wire === 'unsubscribing') unanswered.add(channel.name)
    channel.wire = 'waiting to retry'
    channel.failures++
    channel.timer = setTimeout(
      () => {
        channel.wire = 'off'
        sync(channel)
      },
      backoffMs(channel.failures) + (error.retryAfterMs ?? 0),
    )
    for (const answer of channel.waiting.splice(0)) answer.reject(error)
    setStatus(channel, 'subscribing', error)
  }

  function subscribed(channel: Channel, answer: SubscribeOk): void {
    const { held, hasBeenOn } = channel
    const replayed = answer.messages ?? []
    settleRequest(channel, 'on')
    channel.hasBeenOn = true
    setStatus(channel, 'subscribed', null)
    // A server without the additions can't say what was missed while there was no connection: anything.
    if (hasBeenOn && !answer.recovered) tellGap(channel, answer.reason ?? 'node', answer.position)
    for (const [body, position] of replayed) deliver(channel, body, position)
    // A server that gives no position has no use for the one of another server. If we kept it, we would resume behind
    // what we have received from this server, and receive all of it again.
    if (channel.wire === 'on') channel.position = answer.position
    for (const message of held) take(channel, message)
    sync(channel)
  }

  /** A message about a subscribed channel, in its turn. */
  function take(channel: Channel, message: ServerMessage): void {
    // Where it is not subscribed any more, it was on its way.
    if (channel.wire !== 'on') return
    if (message.__type === 'message') {
      deliver(channel, message.body, message.position)
    } else if (message.__type === 'gap') {
      channel.position = message.position
      tellGap(channel, message.reason, message.position)
    } else if (message.__type === 'unsubscribed') {
      if (!unanswered.has(channel.name)) return refuse(channel, 'unsubscribed', message.reason)
      // It may have been our own, that came after all: the server will say whether we may have the channel.
      settleRequest(channel, 'off')
      sync(channel)
    }
  }

  function deliver(channel: Channel, body: string, position: Position | undefined): void {
    // A handler may have disconnected, or unsubscribed, in the middle of a batch.
    if (channel.wire !== 'on') return
    channel.position = position
    if (channel.listeners.length === 0) return
    const { name } = channel
    const message: Message =
      position === undefined ? { channel: name, body } : { channel: name, body, position }
    for (const listener of channel.listeners) {
      call(channel, listener, () => listener.handler(body, message))
    }
    emitter.emit('message', name, body, message)
    emitter.emit(`message:${name}`, body, message)
  }

  function tellGap(channel: Channel, reason: Gap['reason'], position: Position | undefined): void {
    if (channel.listeners.length === 0) return
    const { name } = channel
    const gap: Gap = position === undefined ? { channel: name, reason } : { channel: name, reason, position }
    for (const listener of channel.listeners) call(channel, listener, () => listener.options.onGap?.(gap))
    emitter.emit('gap', gap)
  }

  function call(channel: Channel, listener: Listener, call: () => unknown): void {
    if (listener.isActive) emitter.call(`A handler of channel '${channel.name}'`, call)
  }

  function refuse(channel: Channel, code: 'refused' | 'unsubscribed', reason: string): void {
    settleRequest(channel, 'off')
    channel.mayBeOnServer = false
    channel.isLeaving = false
    channel.reached = undefined
    setStatus(channel, 'refused', new BroadcasterError(code, `Channel '${channel.name}': ${reason}`))
    sync(channel)
  }

  function unsubscribed(channel: Channel): void {
    settleRequest(channel, 'off')
    if (hasTellingPolls) left.add(channel.name)
    channel.mayBeOnServer = false
    channel.isLeaving = false
    channel.reached = undefined
    resolveWaiting(channel)
    sync(channel)
  }

  function settleRequest(channel: Channel, wire: Wire): void {
    clearTimeout(channel.timer)
    channel.wire = wire
    channel.failures = 0
    channel.held = []
  }

  /** Nothing of the channel is on any wire; it is kept if somebody listens. */
  function reset(channel: Channel): void {
    settleRequest(channel, 'off')
    channel.mayBeOnServer = false
    channel.isLeaving = false
    channel.reached = undefined
    if (channel.listeners.length === 0) drop(channel)
  }

  function drop(channel: Channel): void {
    clearTimeout(channel.grace)
    channel.grace = undefined
    resolveWaiting(channel)
    if (channels.get(channel.name) === channel) channels.delete(channel.name)
  }

  function removeListener(channel: Channel, listener: Listener): void {
    if (!listener.isActive) return
    abandon(listener, channel)
    channel.listeners = channel.listeners.filter((other) => other !== listener)
    if (channel.listeners.length > 0) return
    channel.grace = setTimeout(() => {
      channel.grace = undefined
      sync(channel)
    }, UNSUBSCRIBE_GRACE_MS)
  }

  function setStatus(channel: Channel, status: SubscriptionStatus, error: BroadcasterError | null): void {
    if (channel.status === status && channel.error === error) return
    const isNew = channel.status !== status
    channel.status = status
    channel.error = error
    for (const listener of channel.listeners) {
      if (isNew) settle(listener, channel)
      call(channel, listener, () => listener.options.onStatus?.(status, error))
    }
  }
}

function serverError(reason: string): BroadcasterError {
  return new BroadcasterError('serverError', reason)
}
