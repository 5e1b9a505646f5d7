import { reasons } from '@broadcaster/protocol'
import type { LimitName } from '../metrics/counts.ts'
import type { EventLogger, LogFields } from '../logger.ts'
import { uptimeMs } from '../time/uptime.ts'

/** The kind of thing that was refused. */
export type RefusalKind = 'origin' | 'auth' | 'channel' | 'limit' | 'frame'

export type RefusalLevel = 'debug' | 'info' | 'warn' | 'error'

export interface Refusal {
  readonly kind: RefusalKind
  /** The reason, as a text of the server. It never contains the client's auth data or token. */
  readonly reason: string
  readonly channel?: string
  /** The limit that was reached, unless the reason tells, or it was counted before. */
  readonly limit?: LimitName | undefined
}

/** The refusal of a client that has reached a limit. */
export function overLimit(limit: LimitName, text: string): Refusal {
  return { kind: 'limit', reason: `limits.${limit}: ${text}`, limit }
}

export const NODE_FULL = overLimit('connections', 'the node is full')
/** `NewNames` counts it. */
export const TOO_MANY_NEW_CHANNELS: Refusal = {
  kind: 'limit',
  reason: 'limits.newChannelsPerSecond: too many new channels of one client',
}

/** The limits for which clients get a reason of the protocol. */
const LIMITS_OF_REASONS: Readonly<Record<string, LimitName>> = {
  [reasons.authTooLarge]: 'authBytes',
  [reasons.channelTooLong]: 'channelBytes',
  [reasons.tooManyChannels]: 'channelsPerConnection',
  [reasons.namesTooLong]: 'channelNamesBytes',
}

/** What is known about the refused client. */
export interface RefusedClient {
  readonly address?: string
  readonly origin?: string | undefined
  readonly host?: string | undefined
}

/**
 * Counts and logs refusals. Unknown clients must not be able to fill the log. So in each minute at most 10 different
 * lines of each kind are logged, and then one line with the number of refusals that were not logged.
 */
export class Refusals {
  readonly #logger: EventLogger
  readonly #level: RefusalLevel | undefined
  readonly #limits: Record<LimitName, number>
  readonly #kinds: Record<RefusalKind, Kind> = {
    origin: new Kind(),
    auth: new Kind(),
    channel: new Kind(),
    limit: new Kind(),
    frame: new Kind(),
  }

  /**
   * @param level The log level. Without it, refused origins are logged as `warn`, because most of them are a mistake in
   * the options; other refusals as `info`.
   * @param limits Counts how often each limit was reached.
   */
  constructor(logger: EventLogger, level: RefusalLevel | undefined, limits: Record<LimitName, number>) {
    this.#logger = logger
    this.#level = level
    this.#limits = limits
  }

  /** The number of refusals since the start, by kind. */
  get counts(): Record<RefusalKind, number> {
    const { origin, auth, channel, limit, frame } = this.#kinds
    return {
      origin: origin.count,
      auth: auth.count,
      channel: channel.count,
      limit: limit.count,
      frame: frame.count,
    }
  }

  note(
    { kind, reason, channel, limit = LIMITS_OF_REASONS[reason] }: Refusal,
    { address, origin, host }: RefusedClient = {},
  ): void {
    const counted = this.#kinds[kind]
    counted.count += 1
    if (limit !== undefined) this.#limits[limit] += 1
    this.#endMinute(kind, counted)
    const isFull = counted.lines.size >= MAX_LINES
    if (isFull && counted.unlogged > 0) return void (counted.unlogged += 1)
    const fields: LogFields & Record<string, string> = { event: 'refused', kind, reason: clean(reason) }
    if (address !== undefined && address !== '') fields['address'] = clean(address)
    if (channel !== undefined) fields['channel'] = clean(channel)
    if (origin !== undefined) fields['origin'] = clean(origin)
    if (host !== undefined) fields['host'] = clean(host)
    const line = Object.values(fields).join(' ')
    if (counted.lines.has(line)) return
    if (isFull) return void (counted.unlogged += 1)
    if (counted.lines.size === 0) counted.minuteEnd = uptimeMs() + MINUTE_MS
    counted.lines.add(line)
    this.#log(kind, fields, `${TITLES[kind]}: ${fields['reason']}`)
  }

  /** Logs how many refusals were not logged, for each kind whose minute is over. Must be called periodically. */
  sweep(): void {
    for (const [kind, counted] of Object.entries(this.#kinds)) this.#endMinute(kind as RefusalKind, counted)
  }

  #endMinute(kind: RefusalKind, counted: Kind): void {
    if (counted.lines.size === 0 || uptimeMs() < counted.minuteEnd) return
    const { unlogged } = counted
    counted.lines.clear()
    counted.unlogged = 0
    if (unlogged > 0)
      this.#log(
        kind,
        { event: 'refusalsUnlogged', kind, unlogged },
        `${TITLES[kind]}: ${unlogged} more were not logged`,
      )
  }

  #log(kind: RefusalKind, fields: LogFields & Record<string, unknown>, text: string): void {
    this.#logger[this.#level ?? (kind === 'origin' ? 'warn' : 'info')](fields, text)
  }
}

class Kind {
  count = 0
  /** The lines that were logged in this minute. */
  readonly lines = new Set<string>()
  minuteEnd = 0
  /** The number of refusals of this minute that were not logged. */
  unlogged = 0
}

const TITLES: Record<RefusalKind, string> = {
  origin: 'An origin was refused',
  auth: 'A client was refused',
  channel: 'A channel was refused',
  limit: 'A client was over a limit',
  frame: 'A frame was refused',
}

const MINUTE_MS = 60_000
const MAX_LINES = 10

/**
 * The reason why JSON is invalid, without the part of the input that the parser quotes. It may be part of a password.
 */
export function withoutInput(reason: string): string {
  return reason.replace(/^Invalid JSON:.*/s, 'Invalid JSON')
}

/**
 * Replaces control characters and characters that change the direction of text, because logs are shown in terminals.
 */
function clean(text: string): string {
  const cut = text.length > MAX_LENGTH ? `${text.slice(0, MAX_LENGTH)}…` : text
  return cut.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, '\uFFFD')
}

const MAX_LENGTH = 500
