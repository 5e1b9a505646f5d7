import type {
  Auth,
  AuthOk,
  Fallback,
  Position,
  ServerMessage,
  Subscribe,
  Unsubscribe,
} from '@broadcaster/protocol'
import type { BroadcasterError } from './errors.ts'
import type { Emitter } from './events.ts'
import type { Settings } from './options.ts'
import type { TransportName } from './types.ts'

/** A connection to the server that is authenticated, or is being authenticated. */
export interface Transport {
  readonly name: TransportName
  /** Both sides know the additions of the protocol. Undefined before it is open. */
  hasAdditions?: boolean
  /** Messages come as answers to polls, and each poll contains the position of each channel. */
  hasPositionsInPolls?: boolean
  /** Sends a request. The receiver gets the answer, or is told that there is none. */
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

/** What a transport uses of the subscriptions. */
export interface Receiver {
  /** For `wire` events, and for errors that belong to no call. */
  readonly emitter: Emitter
  receive(message: ServerMessage): void
  /** A request for this channel got no answer. The transport still works. */
  fail(channel: string, error: BroadcasterError): void
  /** The positions for the next poll. */
  positions(): Readonly<Record<string, Position>>
}

export interface TransportHandlers {
  readonly receiver: Receiver
  /** The server has accepted the credentials. */
  onOpen(transport: Transport, answer: AuthOk): void
  /** The transport has a failure and retries by itself. `failures`: in a row. */
  onTrouble(error: BroadcasterError, failures: number, retryInMs: number): void
  /** It works again. */
  onRecovery(): void
  /**
   * The transport has ended. No other handler is called after this. Without an `onOpen` before, the attempt has failed.
   * `isRestart`: the server asked the client to reconnect, which is not a failure. `why`: what the server is told, if the client
   * falls back to the other transport.
   */
  onEnd(error: BroadcasterError, isRestart?: boolean, why?: Fallback): void
}

/** Throws when the platform or the URL does not allow the transport. Calls no handler before it returns. */
export type OpenTransport = (setup: TransportSetup, handlers: TransportHandlers) => Transport
