import type { Auth, Position, ServerMessage, Subscribe, Unsubscribe } from '@broadcaster/protocol'
import type { BroadcasterError } from './errors.ts'
import type { Settings } from './options.ts'
import type { TransportName } from './types.ts'

/** A connection to the server that is authenticated, or is being authenticated. */
export interface Transport {
  readonly name: TransportName
  /** The token of the long-poll session. */
  readonly token?: string | undefined
  /** The id of the server node that a WebSocket is connected to. */
  readonly node?: string | undefined
  /** Sends a request. `onMessage` is called with the answer, or `onRequestFailed` is called instead. */
  send(request: Subscribe | Unsubscribe): void
  /** Checks now whether the connection still works. */
  check(): void
  /** Ends the connection. No handler is called any more. Resolves when the connection is closed. */
  close(): Promise<void>
}

export interface TransportSetup {
  readonly settings: Settings
  readonly auth: Auth
  /** The time limit for opening. The answer to `auth` has the same limit again. */
  readonly limitMs: number
}

export interface TransportHandlers {
  /** The server has accepted the credentials. `hasAdditions`: both sides know the additions of the protocol. */
  onOpen(transport: Transport, hasAdditions: boolean): void
  onMessage(message: ServerMessage): void
  /** A request for this channel got no answer. The transport still works. */
  onRequestFailed(channel: string, error: BroadcasterError): void
  /** The transport has a failure and retries by itself. `null`: it works again. */
  onTrouble(trouble: Trouble | null): void
  /** The transport has ended. No other handler is called after this. Without an `onOpen` before, the attempt has failed. */
  onEnd(end: TransportEnd): void
  /** The positions for the next poll. */
  positions(): Readonly<Record<string, Position>>
}

export interface Trouble {
  readonly error: BroadcasterError
  /** The number of failures in a row. */
  readonly failures: number
  readonly retryInMs: number
}

export interface TransportEnd {
  readonly error: BroadcasterError
  /** `soon`: the server asks the client to reconnect. This is not a failure. */
  readonly retry: 'backoff' | 'soon' | 'never'
}

/** Throws when the platform or the URL does not allow the transport. Calls no handler before it returns. */
export type OpenTransport = (setup: TransportSetup, handlers: TransportHandlers) => Transport
