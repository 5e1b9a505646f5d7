import type { Parsed, Schema, SchemaError } from '@broadcaster/channels'
import type { BroadcasterError, Channels, Gap, Message, SubscriptionStatus } from '@broadcaster/client'

/**
 * - `idle`: there is no name, or `enabled` is `false`
 * - `subscribing`: the server has not answered yet, or there is no connection
 * - `subscribed`: every message arrives
 * - `refused`: the server refuses the channel, or the option `channels` does not have it. The next connection asks again.
 * - `error`: the client has disconnected and does not reconnect. After its `connect()` it asks again.
 */
export type ChannelStatus = 'idle' | SubscriptionStatus

/** A message. Its body is the output of the schema, or a string if there is no schema. */
export type ReceivedMessage<Body = string> = Omit<Message, 'body'> & {
  readonly body: Body
  /** Unique among all messages on this page. Use it as the `key` in React. */
  readonly id: number
}

export interface ChannelState<Body = string> {
  readonly status: ChannelStatus
  /** Why the status is `refused` or `error`. In `subscribing`: the error of the last attempt. */
  readonly error: BroadcasterError | null
  /** The newest message. A component is rendered for messages only if it has read this, and at most once per frame. */
  readonly latest: ReceivedMessage<Body> | null
}

/**
 * The hook reads all options when it needs them, so new functions on every render cost nothing. Handlers may be async.
 * Nothing waits for them. If a handler throws or rejects, the client emits an `error` event.
 */
export interface ChannelOptions<Body = string, Name = string> {
  /** Called for every message, in order, outside rendering. */
  onMessage?: ((body: NoInfer<Body>, message: ReceivedMessage<NoInfer<Body>>) => unknown) | undefined
  /** Messages were missed. Fetch again what you show of the channel. */
  onGap?: ((gap: Gap) => unknown) | undefined
  /**
   * Called when the channel is `refused` or in `error`, or when a message does not fit its schema. In the second case
   * the unparsed message is passed too. Without this handler, a message that does not fit is an `error` event of the
   * client.
   */
  onError?: ((error: BroadcasterError | SchemaError, message?: Message) => unknown) | undefined
  /**
   * `false` pauses: nothing is subscribed and the status is `idle`. Messages that have arrived are kept. Messages that
   * are published during the pause are missed, and `onGap` reports that when the pause ends.
   *
   * @default true
   */
  enabled?: boolean | undefined
  /**
   * How many of the newest older messages to receive first, with `isReplayed`. They come once for each channel: if the component
   * was hidden or paused, `onGap` reports what was missed instead. A later change has no effect.
   *
   * @default 0
   */
  replay?: number | undefined
  /**
   * A Standard Schema (zod, valibot, arktype, ...). It must be synchronous. The body is parsed as JSON and then by the
   * schema, and the output of the schema is the body. A body that does not fit goes to `onError`, never to `onMessage`.
   *
   * @default the schema of the channel in the option `channels` of the client. Without that option, bodies are the published
   * strings.
   */
  schema?: (Schema<Body> & Declared<Name>) | undefined
}

/** If `interface Channels` declares the type of the channel, without a map, the schema must fit the declared type. */
type Declared<Name> = Name extends keyof Channels
  ? Channels[Name] extends Parsed<unknown>
    ? unknown
    : Schema<Channels[Name]>
  : unknown
