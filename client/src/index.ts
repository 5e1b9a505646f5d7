export type { GapReason, Position } from '@broadcaster/protocol'
export { BroadcasterClient } from './client.ts'
export { BroadcasterError } from './errors.ts'
export type { ErrorCode } from './errors.ts'
export type {
  AuthData,
  ChannelName,
  Channels,
  ClientOptions,
  Disconnected,
  Events,
  FetchLike,
  Gap,
  Message,
  MessageHandler,
  Mode,
  Snapshot,
  Status,
  StatusChange,
  SubscribeOptions,
  Subscription,
  SubscriptionStatus,
  TransportName,
  WebSocketConstructor,
  WebSocketLike,
} from './types.ts'
