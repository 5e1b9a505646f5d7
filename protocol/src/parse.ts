import type { ClientMessage, Position } from './messages.ts'

/** The result of parsing a frame or a request body. */
export type Parsed =
  /** A message of a known type with valid fields. */
  | { readonly kind: 'message'; readonly message: ClientMessage; readonly token: string | undefined }
  /** An object (or `null`) that is not a known message. The answer is `unknown`. */
  | { readonly kind: 'unknown'; readonly token: string | undefined }
  /** `subscribe` or `unsubscribe` without a channel. */
  | {
      readonly kind: 'noChannel'
      readonly type: 'subscribe' | 'unsubscribe'
      readonly token: string | undefined
    }
  /** Not JSON, or JSON that is neither an object nor `null`. A WebSocket is closed with 4400. */
  | { readonly kind: 'bad'; readonly reason: string }

/** Parses a frame or a request body. It never throws and has no state. */
export function parseClientMessage(text: string): Parsed {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    return { kind: 'bad', reason: `Invalid JSON: ${(error as SyntaxError).message}` }
  }
  return readClientMessage(value)
}

/** Like {@link parseClientMessage}, for a value that was parsed already. */
export function readClientMessage(value: unknown): Parsed {
  if (value === null) return { kind: 'unknown', token: undefined }
  if (typeof value !== 'object' || Array.isArray(value)) {
    return {
      kind: 'bad',
      reason: `Expected a JSON object, got ${Array.isArray(value) ? 'array' : typeof value}`,
    }
  }
  const fields = value as Record<string, unknown>
  const token =
    typeof fields['__token'] === 'string' && fields['__token'] !== '' ? fields['__token'] : undefined
  switch (fields['__type']) {
    case 'auth':
      return { kind: 'message', message: fields as ClientMessage, token }
    case 'ping':
      return { kind: 'message', message: { __type: 'ping' }, token }
    case 'subscribe':
    case 'unsubscribe': {
      const { __type: type, channel, position, history } = fields
      if (typeof channel !== 'string') return { kind: 'noChannel', type, token }
      if (type === 'unsubscribe') return { kind: 'message', message: { __type: type, channel }, token }
      const message = {
        __type: type,
        channel,
        ...(typeof position === 'string' && { position: readPosition(position) }),
        ...(isCount(history) && { history }),
      }
      return { kind: 'message', message, token }
    }
    case 'poll': {
      const { seq, positions } = fields
      const message = { __type: 'poll' as const, seq: typeof seq === 'number' ? String(seq) : asString(seq) }
      const known = readPositions(positions)
      return {
        kind: 'message',
        message: known === undefined ? message : { ...message, positions: known },
        token,
      }
    }
    default:
      return { kind: 'unknown', token }
  }
}

/** The data of the application in an `auth`: all keys except the reserved ones, which begin with `__`. */
export function authData(message: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(message).filter(([key]) => !key.startsWith('__')))
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

function asString(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function readPositions(value: unknown): Record<string, Position> | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  const positions = value as Record<string, unknown>
  const isValid = (channel: string): boolean => {
    const position = positions[channel]
    return typeof position === 'string' && position.length <= MAX_POSITION
  }
  // Polls are frequent, and nearly all of them are valid.
  if (Object.keys(positions).every(isValid)) return positions as Record<string, Position>
  return Object.fromEntries(
    Object.entries(value).flatMap(([channel, position]): [string, Position][] =>
      typeof position === 'string' ? [[channel, readPosition(position)]] : [],
    ),
  )
}

/** A position that is longer than any server makes is invalid. It is dropped here, so it needs no memory. */
function readPosition(position: string): Position {
  return position.length > MAX_POSITION ? '' : position
}

const MAX_POSITION = 64
