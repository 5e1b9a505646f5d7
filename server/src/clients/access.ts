import type { AnyChannelMap } from '@broadcaster/channels'
import { authData, reasons, type Auth } from '@broadcaster/protocol'
import type { Request } from 'express'
import { Accepted } from './accept.ts'
import { endOf } from './endings.ts'
import { describe, isTooDeep, throughJson } from '../input/json.ts'
import type { EventLogger } from '../logger.ts'
import { isUtf8 } from '../input/text.ts'

/**
 * The result of `canConnect`: `false` refuses the client, `true` accepts it, an object accepts it and is stored as its
 * context, {@link accept} accepts it until a time.
 */
export type ConnectAnswer<Context> = boolean | Context | Accepted<Context>

export interface AccessOptions {
  readonly canConnect: (auth: Record<string, unknown>, req: Request) => unknown
  readonly canSubscribe: (
    auth: Record<string, unknown>,
    channel: string,
    context: unknown,
    params: Readonly<Record<string, string>>,
  ) => unknown
  readonly channels: AnyChannelMap | undefined
  readonly isReserved: (channel: string) => boolean
  readonly maxChannelBytes: number
  readonly logger: EventLogger
}

export type AccessAnswer =
  | {
      readonly isAllowed: true
      readonly auth: Record<string, unknown>
      readonly context: unknown
      /** When the client has to send credentials again, in ms since 1970; `Infinity` for never. */
      readonly endsAt: number
    }
  | { readonly isAllowed: false; readonly reason: string }

/** Calls `canConnect` for the current request. */
export type Authenticate = (auth: Record<string, unknown>) => Promise<AccessAnswer>

const refused: AccessAnswer = { isAllowed: false, reason: reasons.unauthorized }
const expired: AccessAnswer = { isAllowed: false, reason: reasons.credentialsExpired }

/**
 * Calls the application's callbacks. If a callback throws or rejects, the client is refused and the error is logged.
 * Auth data and contexts are converted to JSON on both transports, because a long-poll session is stored in Redis. So
 * both transports show the same values to the application.
 */
export class Access {
  readonly #options: AccessOptions

  constructor(options: AccessOptions) {
    this.#options = options
  }

  async connect(auth: Record<string, unknown>, req: Request): Promise<AccessAnswer> {
    let answer: unknown
    const begun = Date.now()
    try {
      answer = await this.#options.canConnect(auth, req)
    } catch (error) {
      this.#options.logger.error(
        { event: 'canConnectFailed', err: error },
        'canConnect failed; the client was refused',
      )
      return refused
    }
    const expiresAt = Accepted.is(answer) ? answer.expiresAt : Infinity
    // Credentials that end while `canConnect` is running are accepted, and asked for again at once.
    if (expiresAt <= begun) return expired
    if (Accepted.is(answer)) answer = answer.context
    const hasContext = typeof answer === 'object' && answer !== null
    if (!hasContext && answer !== true) return refused
    try {
      // The callback may have changed the auth data. The changes are kept too.
      return {
        isAllowed: true,
        auth: asObject(auth) as Record<string, unknown>,
        context: hasContext ? asObject(answer as object) : undefined,
        endsAt: endOf(expiresAt),
      }
    } catch (error) {
      this.#options.logger.error(
        { event: 'contextNotJson', err: error },
        `The value that canConnect returned cannot be stored as JSON: ${(error as Error).message}; the client was refused`,
      )
      return refused
    }
  }

  /** Returns the reason why the client may not subscribe to the channel, or `null` if it may. */
  async refusal(channel: string, auth: Record<string, unknown>, context: unknown): Promise<string | null> {
    const { canSubscribe, channels, isReserved, maxChannelBytes, logger } = this.#options
    if (!isUtf8(channel)) return reasons.channelMalformed
    if (Buffer.byteLength(channel) > maxChannelBytes) return reasons.channelTooLong
    if (isReserved(channel)) return reasons.channelRefused
    const match = channels?.match(channel)
    if (channels && !match) return reasons.channelRefused
    try {
      // The callback gets copies. If it changed the originals, the changes would last on WebSocket, but not on
      // long-poll.
      const answer = await canSubscribe(
        throughJson(auth) as Record<string, unknown>,
        channel,
        throughJson(context),
        match?.params ?? {},
      )
      return answer === true ? null : reasons.channelRefused
    } catch (error) {
      logger.error(
        { event: 'canSubscribeFailed', err: error, channel },
        'canSubscribe failed; the channel was refused',
      )
      return reasons.channelRefused
    }
  }
}

/** The maximum size of the reserved keys of a request, which come in addition to the application's part. */
export const ENVELOPE_BYTES = 4096

/**
 * The part of `auth` that is for the application. Returns `null` if it is larger than `maxBytes`, or nested too deeply.
 */
export function readAuthData(auth: Auth, maxBytes: number): Record<string, unknown> | null {
  const data = authData(auth)
  try {
    const json = JSON.stringify(data)
    return Buffer.byteLength(json) > maxBytes || isTooDeep(json) ? null : data
  } catch {
    // The data is nested so deeply that `JSON.stringify` overflowed the stack.
    return null
  }
}

/** Converts a value to JSON and requires an object. A list counts as an object. */
function asObject(value: unknown): object {
  const json = throughJson(value)
  if (typeof json === 'object' && json !== null) return json
  throw new TypeError(`${describe(value)} becomes ${describe(json)}`)
}
