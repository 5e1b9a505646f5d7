import type { Match } from '../input/match.ts'

/**
 * The messages between nodes. They are sent over the control channel, to all nodes, or over a node's own channel, to
 * that node. Every message has a version. A message that cannot be parsed is ignored, because anybody who can publish
 * may have sent it.
 */

const VERSION = 1

/** The form of log entries in a control message: position, body as JSON text, age in ms. */
export type SentEntry = readonly [position: string, json: string, ageMs: number]

export type ControlMessage =
  /** From this message on, every node counts messages from 0 under the beacon number `n`. */
  | { readonly type: 'beacon'; readonly n: number }
  /**
   * A request to all nodes: who has all messages of these channels from `after` (exclusive) to `before` (inclusive)?
   */
  | {
      readonly type: 'fetch'
      readonly id: number
      readonly node: string
      readonly ranges: readonly (readonly [channel: string, after: string, before: string])[]
    }
  /**
   * The answer to `fetch`, sent to the requesting node. `entries` is `null` if this node does not have all messages of
   * the range.
   */
  | {
      readonly type: 'fetched'
      readonly id: number
      readonly node: string
      readonly range: number
      readonly entries: readonly SentEntry[] | null
      readonly isLast: boolean
    }
  /** A request to all nodes: what was the head of these channels when the requesting node began to hold them? */
  | {
      readonly type: 'heads'
      readonly id: number
      readonly node: string
      readonly channels: readonly (readonly [channel: string, at: string])[]
    }
  /** The answer to `heads`, sent to the requesting node. A head is `null` if this node cannot know it. */
  | { readonly type: 'headsAre'; readonly id: number; readonly heads: readonly (string | null)[] }
  /** Connections of this client with a lower generation must be closed. */
  | { readonly type: 'fence'; readonly client: string; readonly generation: number }
  /**
   * This poll of the session must end. `seq` is the `seq` of the poll that replaces it, or `null` if no poll replaces
   * it.
   */
  | { readonly type: 'endPoll'; readonly session: string; readonly poll: string; readonly seq: string | null }
  /** The session has ended. */
  | { readonly type: 'endSession'; readonly session: string }
  /** The channels of the session have changed; the waiting poll must apply the change. */
  | {
      readonly type: 'pollChannel'
      readonly session: string
      readonly poll: string
      readonly channel: string
      readonly position: string | null
    }
  /** Clients whose context matches are disconnected. An empty match selects every client. */
  | { readonly type: 'disconnect'; readonly match: Match; readonly id?: string }
  /** Clients whose context matches are unsubscribed from the channel. */
  | { readonly type: 'unsubscribe'; readonly match: Match; readonly channel: string; readonly id?: string }

/**
 * A message that is stored for nodes that cannot receive it now. A node recognizes by the `id` whether it has applied
 * the message. Older nodes omit the `id`.
 */
export type Revocation = Extract<ControlMessage, { readonly type: 'disconnect' | 'unsubscribe' }>

export function encodeControl(message: ControlMessage): string {
  return JSON.stringify({ v: VERSION, ...message })
}

/** The text before and after the number of an encoded beacon. A Redis script puts the number between them. */
export const beaconTemplate = encodeControl({ type: 'beacon', n: 0 }).split('0') as [string, string]

/** Returns `null` for everything that is not a control message of this version. */
export function parseControl(text: string): ControlMessage | null {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    // Anybody who can publish can send invalid text on this channel, so it is not an error.
    return null
  }
  if (typeof value !== 'object' || value === null) return null
  const fields = value as Record<string, unknown>
  if (fields['v'] !== VERSION || typeof fields['type'] !== 'string') return null
  const isValid = validators.get(fields['type'])
  return isValid?.(fields) === true ? (value as ControlMessage) : null
}

const isString = (value: unknown): value is string => typeof value === 'string'
const isOptionalString = (value: unknown): boolean => value === undefined || isString(value)
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0
const isRange = (value: unknown): boolean =>
  Array.isArray(value) && value.length === 3 && value.every(isString)
const isPair = (value: unknown): boolean =>
  Array.isArray(value) && value.length === 2 && value.every(isString)
const isEntry = (value: unknown): boolean =>
  Array.isArray(value) && isString(value[0]) && isString(value[1]) && typeof value[2] === 'number'

const isObject = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const validatorOf: Record<ControlMessage['type'], (fields: Record<string, unknown>) => boolean> = {
  beacon: ({ n }) => isCount(n),
  fetch: ({ id, node, ranges }) =>
    isCount(id) && isString(node) && Array.isArray(ranges) && ranges.every(isRange),
  fetched: ({ id, node, range, entries, isLast }) =>
    isCount(id) &&
    isString(node) &&
    isCount(range) &&
    typeof isLast === 'boolean' &&
    (entries === null || (Array.isArray(entries) && entries.every(isEntry))),
  heads: ({ id, node, channels }) =>
    isCount(id) && isString(node) && Array.isArray(channels) && channels.every(isPair),
  headsAre: ({ id, heads }) =>
    isCount(id) && Array.isArray(heads) && heads.every((head) => head === null || isString(head)),
  fence: ({ client, generation }) => isString(client) && isCount(generation),
  endPoll: ({ session, poll, seq }) => isString(session) && isString(poll) && (seq === null || isString(seq)),
  endSession: ({ session }) => isString(session),
  pollChannel: ({ session, poll, channel, position }) =>
    isString(session) && isString(poll) && isString(channel) && (position === null || isString(position)),
  disconnect: ({ match, id }) => isObject(match) && isOptionalString(id),
  unsubscribe: ({ match, channel, id }) => isObject(match) && isString(channel) && isOptionalString(id),
}

// This is a Map because a plain object would also have entries for `__proto__` and `constructor`.
const validators = new Map(Object.entries(validatorOf))
