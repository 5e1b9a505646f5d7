export type { GapReason, Position } from '@broadcaster/protocol'
export { BroadcasterClient } from './client.ts'
export { BroadcasterError } from './errors.ts'
export type { ErrorCode } from './errors.ts'
export { shareTabs } from './shareTabs.ts'
export type { ShareTabs, ShareTabsOptions } from './shareTabs.ts'
export type {
  AttemptFailed,
  AuthData,
  ChannelBody,
  ChannelName,
  Channels,
  ClientOptions,
  Disconnected,
  Events,
  FetchLike,
  Gap,
  InspectedChannel,
  Inspection,
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
  WireMessage,
} from './types.ts'
