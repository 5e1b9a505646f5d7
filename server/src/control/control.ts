import type { Match } from '../input/match.ts'

/**
 * What nodes say to each other, over the control channel (all of them) and over each node's own channel (one).
 * Everything carries a version; what can't be read is ignored, since anybody who can publish may have sent it.
 */

const VERSION = 1

/** Entries as they travel: position, body as JSON text, age in ms. */
export type SentEntry = readonly [position: string, json: string, ageMs: number]

export type ControlMessage =
  /** From here on, every node counts from 0 under this number. */
  | { readonly type: 'beacon'; readonly n: number }
  /** Who has all of these channels' messages after `after`, up to and with `before`? */
  | {
      readonly type: 'fetch'
      readonly id: number
      readonly node: string
      readonly ranges: readonly (readonly [channel: string, after: string, before: string])[]
    }
  /** An answer to `fetch`, to the asking node; `entries` is `null` where this node hasn't got them all. */
  | {
      readonly type: 'fetched'
      readonly id: number
      readonly node: string
      readonly range: number
      readonly entries: readonly SentEntry[] | null
      readonly isLast: boolean
    }
  /** Where did these channels stand, when the asking node began to hold them? */
  | {
      readonly type: 'heads'
      readonly id: number
      readonly node: string
      readonly channels: readonly (readonly [channel: string, at: string])[]
    }
  /** An answer to `heads`, to the asking node; `null` where this node can't know. */
  | { readonly type: 'headsAre'; readonly id: number; readonly heads: readonly (string | null)[] }
  /** Connections of this client with a lower generation end. */
  | { readonly type: 'fence'; readonly client: string; readonly generation: number }
  /** This poll of the session ends; `seq` is that of the poll that ends it, if one does. */
  | { readonly type: 'endPoll'; readonly session: string; readonly poll: string; readonly seq: string | null }
  /** The session is no more. */
  | { readonly type: 'endSession'; readonly session: string }
  /** The session's channels have changed: the waiting poll takes part in it. */
  | {
      readonly type: 'pollChannel'
      readonly session: string
      readonly poll: string
      readonly channel: string
      readonly position: string | null
    }
  /** Clients whose context matches are cut off; an empty match is everyone. */
  | { readonly type: 'disconnect'; readonly match: Match; readonly id?: string }
  /** Clients whose context matches lose the channel. */
  | { readonly type: 'unsubscribe'; readonly match: Match; readonly channel: string; readonly id?: string }

/** What is kept for nodes that do not hear it. Its `id`, which older nodes leave out, tells whether a node has. */
export type Revocation = Extract<ControlMessage, { readonly type: 'disconnect' | 'unsubscribe' }>

export function encodeControl(message: ControlMessage): string {
  return JSON.stringify({ v: VERSION, ...message })
}

/** The two halves of an encoded beacon, for a script that puts the number between them. */
export const beaconTemplate = encodeControl({ type: 'beacon', n: 0 }).split('0') as [string, string]

/** `null` for everything that is not a control message of this version. */
export function parseControl(text: string): ControlMessage | null {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    // Whoever can publish can publish nonsense here. It is no concern of ours.
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

// In a plain object there would be one for `__proto__` and `constructor` too.
const validators = new Map(Object.entries(validatorOf))
