import type { Auth, Position, ServerMessage, Subscribe, Unsubscribe } from '@broadcaster/protocol'
import type { BroadcasterError } from './errors.ts'
import type { Settings } from './options.ts'
import type { TransportName } from './types.ts'

/** A way to the server that is being authenticated, or is. */
export interface Transport {
  readonly name: TransportName
  /** The long-poll session. */
  readonly token?: string | undefined
  /** Sends a request. The answer comes by `onMessage`, or `onRequestFailed` is called in its place. */
  send(request: Subscribe | Unsubscribe): void
  /** Finds out now whether the way still works. */
  check(): void
  /** Ends it. None of the handlers is called any more. Resolves when it is closed. */
  close(): Promise<void>
}

export interface TransportSetup {
  readonly settings: Settings
  readonly auth: Auth
  /** How long opening may take, and then again how long the answer to `auth` may. */
  readonly limitMs: number
}

export interface TransportHandlers {
  /** The server has accepted the credentials; whether it knows the protocol's additions too. */
  onOpen(transport: Transport, hasAdditions: boolean): void
  onMessage(message: ServerMessage): void
  /** A request about this channel was not answered, while the transport works on. */
  onRequestFailed(channel: string, error: BroadcasterError): void
  /** Something failed that the transport tries again by itself; `null` when it works again. */
  onTrouble(trouble: Trouble | null): void
  /** It is over; nothing comes after it. Without an `onOpen` before, the attempt has failed. */
  onEnd(end: TransportEnd): void
  /** What has been received, for the next poll. */
  positions(): Readonly<Record<string, Position>>
}

export interface Trouble {
  readonly error: BroadcasterError
  /** How often in a row. */
  readonly failures: number
  readonly retryInMs: number
}

export interface TransportEnd {
  readonly error: BroadcasterError
  /** `soon`: the server asks to; it is not a failure. */
  readonly retry: 'backoff' | 'soon' | 'never'
}

/** Throws when the platform or the URL is not fit for the transport. Calls no handler before it returns. */
export type OpenTransport = (setup: TransportSetup, handlers: TransportHandlers) => Transport
