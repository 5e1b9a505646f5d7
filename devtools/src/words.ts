import type { GapReason, Mode, Status, SubscriptionStatus, TransportName } from '@broadcaster/client'

export const transportWord: Record<TransportName, string> = { websocket: 'WebSocket', longpoll: 'long-poll' }

export const modeWord: Record<Mode, string> = { auto: 'Auto', websocket: 'WebSocket', longpoll: 'Long-poll' }

export const statusWord: Record<Status, string> = {
  idle: 'Not connected yet',
  connecting: 'Connecting',
  connected: 'Connected',
  reconnecting: 'Reconnecting',
  disconnected: 'Disconnected',
}

export const channelWord: Record<SubscriptionStatus, string> = {
  subscribing: 'Waiting',
  subscribed: 'Live',
  refused: 'Refused',
  error: 'Failed',
}

/** Why messages were missed, after "Gap,". */
export const gapWord: Record<GapReason, string> = {
  expired: 'position too old',
  overflow: 'log too small',
  broker: 'Redis was away',
  node: 'node is gone',
}

export function clockTime(at: number): string {
  const date = new Date(at)
  const two = (value: number) => String(value).padStart(2, '0')
  const ms = String(date.getMilliseconds()).padStart(3, '0')
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${ms}`
}

export function milliseconds(ms: number | null | undefined): string {
  if (ms === null || ms === undefined) return '–'
  return ms < 10 ? `${ms.toFixed(1)} ms` : `${Math.round(ms)} ms`
}
