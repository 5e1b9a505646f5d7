export { readClientName, readFormerNode, readGeneration } from './clientName.ts'
export { closeCodes, cutReason, shouldRetry } from './codes.ts'
export type { CloseName } from './codes.ts'
export { readFallback } from './fallback.ts'
export type { FallbackReason } from './fallback.ts'
export { deferred } from './deferred.ts'
export type { Deferred } from './deferred.ts'
export { commonVersion, PROTOCOL_VERSION, reasons } from './messages.ts'
export type {
  Auth,
  AuthError,
  AuthOk,
  ClientMessage,
  Fallback,
  Gap,
  GapReason,
  Message,
  Ping,
  Poll,
  Pong,
  Position,
  ReplayedMessage,
  ServerError,
  ServerMessage,
  Subscribe,
  SubscribeError,
  SubscribeOk,
  Unknown,
  Unsubscribe,
  UnsubscribeError,
  UnsubscribeOk,
  Unsubscribed,
  WithToken,
} from './messages.ts'
export { authData, parseClientMessage, readClientMessage } from './parse.ts'
export type { Parsed } from './parse.ts'
