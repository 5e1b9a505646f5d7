import type { Auth } from './messages.ts'

/** Why a client uses long-poll although it may use a WebSocket. */
export interface FallbackReason {
  readonly reason: 'error' | 'timeout' | 'silence' | 'other'
  /** The close code, if there was one. */
  readonly code: number | null
}

/** Reads `__fallback`. The value is the client's, so anything that is not in the specification is `other`. */
export function readFallback({ __fallback: value }: Auth): FallbackReason | null {
  if (value === undefined) return null
  if (value === 'error' || value === 'timeout' || value === 'silence') return { reason: value, code: null }
  const isCode = Number.isInteger(value) && value >= 1000 && value <= 4999
  return isCode ? { reason: 'error', code: value } : { reason: 'other', code: null }
}
