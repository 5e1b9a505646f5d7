import type { Gap, Snapshot, Status, TransportName } from '@broadcaster/client'
import type { ChannelStatus } from '@broadcaster/react'

export const transportWord: Record<TransportName, string> = { websocket: 'WebSocket', longpoll: 'Long-poll' }

export const channelWord: Record<ChannelStatus, string> = {
  idle: 'Idle',
  subscribing: 'Waiting',
  subscribed: 'Live',
  refused: 'Refused',
  error: 'Failed',
}

export const emptyListSentence: Record<ChannelStatus, string> = {
  idle: 'Not subscribed.',
  subscribing: 'Not subscribed yet.',
  subscribed: 'No messages yet. Published messages appear here.',
  refused: 'Refused.',
  error: 'Not subscribed: there is no connection.',
}

export const gapReason: Record<Gap['reason'], string> = {
  expired: 'away for too long',
  overflow: 'too many to keep',
  broker: 'Redis was away',
  node: 'no node has them any more',
}

export const connectionWord: Record<Status, string> = {
  idle: 'Idle',
  connecting: 'Connecting',
  connected: 'Connected',
  reconnecting: 'Reconnecting',
  disconnected: 'Disconnected',
}

export function connectionSentence({ status, transport, error }: Snapshot): string {
  switch (status) {
    case 'idle':
      return 'Not connected yet.'
    case 'connecting':
      return 'The first attempt is in progress.'
    case 'connected':
      return transport === 'websocket'
        ? 'Messages arrive over a WebSocket.'
        : 'Messages arrive as answers to long-poll requests.'
    case 'reconnecting':
      return 'The client reconnects by itself.'
    case 'disconnected':
      return error ? `${error.message}.` : 'What is published meanwhile arrives when you come back.'
  }
}
