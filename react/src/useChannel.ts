import type {
  BroadcasterError,
  ChannelName,
  Channels,
  Gap,
  Message,
  SubscriptionStatus,
} from '@broadcaster/client'
import { useInsertionEffect, useSyncExternalStore } from 'react'
import { ChannelStore } from './ChannelStore.ts'
import type { Schema, SchemaError } from './schema.ts'
import { useClient } from './useBroadcaster.ts'
import { useKept } from './useKept.ts'

/**
 * - `idle`: no name, or not `enabled`
 * - `subscribing`: the server has not answered yet, or there is no connection
 * - `subscribed`: every message arrives
 * - `refused`: the server refuses the channel; asked again with the next connection
 * - `error`: the client has disconnected for good; asked again after its `connect()`
 */
export type ChannelStatus = 'idle' | SubscriptionStatus

/** A message, its body as the `schema` has it (a string without one). */
export type ReceivedMessage<Body = string> = Omit<Message, 'body'> & {
  readonly body: Body
  /** Differs from that of every other message on this page: a `key` for React. */
  readonly id: number
}

export interface ChannelState<Body = string> {
  readonly status: ChannelStatus
  /** Why it is `refused` or in `error`, or what the last try of a `subscribing` one met. */
  readonly error: BroadcasterError | null
  /** The newest message. Messages render a component only when it has read this, and at most once a frame. */
  readonly latest: ReceivedMessage<Body> | null
}

/**
 * All of these are read when they are needed: changing them from render to render costs nothing. Handlers may be async:
 * nothing waits for them, and what they reject with is an `error` event of the client, as what they throw is.
 */
export interface ChannelOptions<Body = string, Name = string> {
  /** Called for every message, in order, outside rendering. */
  onMessage?: ((body: NoInfer<Body>, message: ReceivedMessage<NoInfer<Body>>) => unknown) | undefined
  /** Messages were missed: fetch anew what you show of the channel. */
  onGap?: ((gap: Gap) => unknown) | undefined
  /**
   * The channel is `refused` or in `error`; or a message does not fit the `schema`, and is handed over as it came.
   * Without this, a message that does not fit is an `error` event of the client.
   */
  onError?: ((error: BroadcasterError | SchemaError, message?: Message) => unknown) | undefined
  /**
   * `false` pauses: nothing is subscribed and the status is `idle`, but what has arrived stays. Messages of the
   * pause are missed, which `onGap` tells when it ends.
   *
   * @default true
   */
  enabled?: boolean | undefined
  /**
   * A Standard Schema (zod, valibot, arktype, ...; not an asynchronous one). The body is parsed as JSON and by
   * the schema, whose output it then is; what does not fit goes to `onError`, never to `onMessage`.
   *
   * @default bodies are the strings that were published
   */
  schema?: (Schema<Body> & Declared<Name>) | undefined
}

/** The schema has to fit what `interface Channels` says of the channel, if anything. */
type Declared<Name> = Name extends keyof Channels ? Schema<Channels[Name]> : unknown

/**
 * Subscribes to a channel for as long as the component is mounted. Components that share a channel share the
 * subscription too. Another name starts afresh: no message of the old channel reaches the new one's handler.
 *
 * ```tsx
 * const { status, error } = useChannel('news', (body) => toast(body))
 * const { latest } = useChannel('price', { schema: Price, enabled: isOpen })
 * ```
 *
 * @param name the channel; `null` for none
 * @param options the message handler, or options
 */
export function useChannel<Name extends ChannelName, Body = string>(
  name: Name | null | undefined,
  options: ChannelOptions<Body, Name>['onMessage'] | ChannelOptions<Body, Name> = {},
): ChannelState<Body> {
  const client = useClient('useChannel')
  const handlers: ChannelOptions<Body> = typeof options === 'function' ? { onMessage: options } : options
  const channel = name ?? null
  const isIdle = channel === null || handlers.enabled === false

  const store = useKept(() => new ChannelStore<Body>(client, channel), [client, channel])
  // Before any other effect, and taken from a store by the commit that replaces it: what still arrives on the old
  // channel reaches nobody.
  useInsertionEffect(() => store.handleWith(handlers))

  const subscribe = isIdle ? subscribeToNothing : store.subscribe
  const getState = isIdle ? store.getIdleState : store.getState
  // The state of a new store is what a server renders, and the browser with its first render.
  return useSyncExternalStore(subscribe, getState, getState)
}

const subscribeToNothing = () => () => {}
