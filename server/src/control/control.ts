import type { Match } from '../input/match.ts'

/**
 * The messages between nodes. They are sent over the control channel, to all nodes, or over a node's own channel, to
 * that node. Every message has a version. A message that cannot be parsed is ignored, because anybody who can publish
 * may have sent it.
 */

const VERSION = 1

/** The form of a log entry in a control message: position, body, age in ms. */
export type SentEntry = readonly [position: string, body: string, ageMs: number]

export type ControlMessage =
  /**
   * From this message on, every node counts messages from 0 under this beacon number. All nodes receive all beacons, so its
   * text is as short as possible, see {@link encodeControl}. Nodes of version 0.1.0 made other numbers, in a field `n`. So
   * nodes of both versions ignore the beacons of each other.
   */
  | { readonly type: 'beacon'; readonly number: number }
  /**
   * A request to all nodes, or to one: how far back do your logs of these channels reach, and what was the last message up to
   * `position`?
   */
  | {
      readonly type: 'where'
      readonly id: number
      readonly node: string
      readonly channels: readonly (readonly [channel: string, position: string])[]
    }
  /**
   * The answer to `where`, sent to the requesting node. `channels` only contains the channels that the node holds, by their
   * index in the request. The log has every message after `start`, and no message was published after `last` up to `position`.
   * `start` is empty if the node knows nothing of the channel. `isAsking`: the node itself does not know yet what other nodes
   * know about it. Without the last two, `last` is `start`, and the node knows what other nodes know. If the question was sent to
   * one node, its answer has no `node`.
   */
  | {
      readonly type: 'whereIs'
      readonly id: number
      readonly node?: string
      readonly channels: readonly (readonly [
        index: number,
        start: string,
        last?: string,
        isAsking?: boolean,
      ])[]
    }
  /**
   * A claim to all nodes, about channels that this node holds only since a short time. Every message after the first of `positions`,
   * up to `upTo`, is at one of the others. A node that knows an earlier position claims it too. Older nodes ignore this type.
   */
  | {
      readonly type: 'claim'
      readonly node: string
      readonly upTo: string
      readonly channels: readonly (readonly [channel: string, ...positions: string[]])[]
    }
  /**
   * A request to one node: the newest messages of the channel after `after` (exclusive) up to `before` (inclusive),
   * with at most `bytes` bytes, and at most `max` messages. If `after` is empty, as many of them as the node has.
   */
  | {
      readonly type: 'getPage'
      readonly id: number
      readonly node: string
      readonly channel: string
      readonly after: string
      readonly before: string
      readonly bytes: number
      readonly max?: number
    }
  /**
   * The answer to `getPage`: all `count` messages after `start` up to the `before` of the request (inclusive). `start`
   * is `null` if the node does not have them, or no longer. `needs` is 0, or the size of a first message that is larger
   * than `bytes`.
   */
  | {
      readonly type: 'page'
      readonly id: number
      readonly start: string | null
      readonly count: number
      readonly needs: number
      readonly entries: readonly SentEntry[]
    }
  /**
   * To all nodes: the messages that this node has after `first` up to `last` (inclusive), as a hash. A node with other
   * messages between the same positions does not receive messages in the same order.
   */
  | {
      readonly type: 'order'
      readonly node: string
      readonly channels: readonly (readonly [channel: string, first: string, last: string, hash: string])[]
    }
  /** Messages to one node that are sent together. */
  | { readonly type: 'several'; readonly messages: readonly ControlMessage[] }
  /**
   * To one node: hold the channels of `hold` too, each with the messages after `start`, and no longer those of `drop`. Also without
   * channels, it renews the lease of all channels that `node` has asked for. `seq` increases. `after` is the `seq` of the message
   * before to the same node; 0 begins again, without channels.
   */
  | {
      readonly type: 'copy'
      readonly node: string
      readonly seq: number
      readonly after: number
      readonly hold: readonly (readonly [channel: string, start: string])[]
      readonly drop: readonly string[]
    }
  /**
   * The answer to `copy`, sent to the requesting node. `done`: the channels of `hold` are held, except those at the indices of
   * `refused`. `lost`: a message before this one is missing, so this one was ignored. `leaving`: the node will end.
   */
  | {
      readonly type: 'copied'
      readonly node: string
      readonly seq: number
      readonly state: 'done' | 'lost' | 'leaving'
      readonly refused: readonly number[]
    }
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
  /** Clients whose context matches have to send credentials again. */
  | { readonly type: 'reauthorize'; readonly match: Match; readonly id?: string }
  /** Clients whose context matches are unsubscribed from the channel. */
  | { readonly type: 'unsubscribe'; readonly match: Match; readonly channel: string; readonly id?: string }

/**
 * A message that is stored for nodes that cannot receive it now. A node recognizes by the `id` whether it has applied
 * the message. Without an `id`, another program has sent the message. Then each node also applies it to the sessions in Redis.
 */
export type Revocation = ControlMessageOf<'disconnect' | 'unsubscribe' | 'reauthorize'>

export type ControlMessageOf<T extends ControlMessage['type']> = Extract<ControlMessage, { readonly type: T }>

export function isRevocation(message: ControlMessage): message is Revocation {
  return message.type === 'disconnect' || message.type === 'unsubscribe' || message.type === 'reauthorize'
}

export function encodeControl(message: ControlMessage): string {
  return message.type === 'beacon'
    ? JSON.stringify({ v: VERSION, b: message.number })
    : JSON.stringify({ v: VERSION, ...message })
}

/** The text before and after the number of an encoded beacon. A Redis script puts the number between them. */
export const beaconTemplate = encodeControl({ type: 'beacon', number: 0 }).split('0') as [string, string]

/** Returns `null` for everything that is not a control message of this version. */
export function parseControl(text: string): ControlMessage | null {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    // Anybody who can publish can send invalid text on this channel, so it is not an error.
    return null
  }
  if (!isObject(value) || value['v'] !== VERSION) return null
  if (isCount(value['b'])) return { type: 'beacon', number: value['b'] }
  return isMessage(value) ? (value as ControlMessage) : null
}

function isMessage(fields: Record<string, unknown>): boolean {
  return typeof fields['type'] === 'string' && validators.get(fields['type'])?.(fields) === true
}

const isString = (value: unknown): value is string => typeof value === 'string'
const isOptionalString = (value: unknown): boolean => value === undefined || isString(value)
const isOptionalBoolean = (value: unknown): boolean => value === undefined || typeof value === 'boolean'
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0
const isPair = (value: unknown): boolean =>
  Array.isArray(value) && value.length === 2 && value.every(isString)
const isTexts = (value: unknown): boolean => Array.isArray(value) && value.every(isString) && value.length > 1
const isWhereabouts = (value: unknown): boolean =>
  Array.isArray(value) &&
  isCount(value[0]) &&
  isString(value[1]) &&
  isOptionalString(value[2]) &&
  isOptionalBoolean(value[3])
const isEntry = (value: unknown): boolean =>
  Array.isArray(value) && isString(value[0]) && isString(value[1]) && typeof value[2] === 'number'

const isSample = (value: unknown): boolean =>
  Array.isArray(value) && value.length === 4 && value.every(isString)

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const validatorOf: Record<ControlMessage['type'], (fields: Record<string, unknown>) => boolean> = {
  beacon: ({ number }) => isCount(number),
  where: ({ id, node, channels }) =>
    isCount(id) && isString(node) && Array.isArray(channels) && channels.every(isPair),
  whereIs: ({ id, node, channels }) =>
    isCount(id) && isOptionalString(node) && Array.isArray(channels) && channels.every(isWhereabouts),
  claim: ({ node, upTo, channels }) =>
    isString(node) && isString(upTo) && Array.isArray(channels) && channels.every(isTexts),
  getPage: ({ id, node, channel, after, before, bytes, max = 0 }) =>
    isCount(id) && [node, channel, after, before].every(isString) && isCount(bytes) && isCount(max),
  page: ({ id, start, count, needs, entries }) =>
    isCount(id) &&
    (start === null || isString(start)) &&
    isCount(count) &&
    isCount(needs) &&
    Array.isArray(entries) &&
    entries.every(isEntry),
  order: ({ node, channels }) => isString(node) && Array.isArray(channels) && channels.every(isSample),
  // A message with other messages contains no other one of this type, so that nobody can nest them without end.
  several: ({ messages }) =>
    Array.isArray(messages) &&
    messages.every((each) => isObject(each) && each['type'] !== 'several' && isMessage(each)),
  copy: ({ node, seq, after, hold, drop }) =>
    isString(node) &&
    isCount(seq) &&
    isCount(after) &&
    Array.isArray(hold) &&
    hold.every(isPair) &&
    Array.isArray(drop) &&
    drop.every(isString),
  copied: ({ node, seq, state, refused }) =>
    isString(node) &&
    isCount(seq) &&
    ['done', 'lost', 'leaving'].includes(state as string) &&
    Array.isArray(refused) &&
    refused.every(isCount),
  fence: ({ client, generation }) => isString(client) && isCount(generation),
  endPoll: ({ session, poll, seq }) => isString(session) && isString(poll) && (seq === null || isString(seq)),
  endSession: ({ session }) => isString(session),
  pollChannel: ({ session, poll, channel, position }) =>
    isString(session) && isString(poll) && isString(channel) && (position === null || isString(position)),
  disconnect: ({ match, id }) => isObject(match) && isOptionalString(id),
  reauthorize: ({ match, id }) => isObject(match) && isOptionalString(id),
  unsubscribe: ({ match, channel, id }) => isObject(match) && isString(channel) && isOptionalString(id),
}

// This is a Map because a plain object would also have entries for `__proto__` and `constructor`.
const validators = new Map(Object.entries(validatorOf))
