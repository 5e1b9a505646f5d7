import { authData, reasons, type Auth } from '@broadcaster/protocol'
import type { Request } from 'express'
import { describe, isTooDeep, throughJson } from '../input/json.ts'
import type { Logger } from '../logger.ts'
import { isUtf8 } from '../input/text.ts'

/** What `canConnect` answers: `false` refuses, `true` accepts, an object accepts and is remembered as the context. */
export type ConnectAnswer<Context> = boolean | Context

export interface AccessOptions {
  readonly canConnect: (auth: Record<string, unknown>, req: Request) => unknown
  readonly canSubscribe: (auth: Record<string, unknown>, channel: string, context: unknown) => unknown
  readonly isReserved: (channel: string) => boolean
  readonly maxChannelBytes: number
  readonly logger: Logger
}

export type AccessAnswer =
  | { readonly isAllowed: true; readonly auth: Record<string, unknown>; readonly context: unknown }
  | { readonly isAllowed: false }

/** Asks `canConnect` about the request that is being served. */
export type Authenticate = (auth: Record<string, unknown>) => Promise<AccessAnswer>

const refused: AccessAnswer = { isAllowed: false }

/**
 * Asks the application's callbacks; one that throws or rejects has refused, and is logged. What they are given, and what they
 * answer, is JSON on either transport, since a long-poll session lives in Redis: nobody ever sees anything else of it.
 */
export class Access {
  readonly #options: AccessOptions

  constructor(options: AccessOptions) {
    this.#options = options
  }

  async connect(auth: Record<string, unknown>, req: Request): Promise<AccessAnswer> {
    let answer: unknown
    try {
      answer = await this.#options.canConnect(auth, req)
    } catch (error) {
      this.#options.logger.error({ err: error }, 'canConnect failed; the client was refused')
      return refused
    }
    const hasContext = typeof answer === 'object' && answer !== null
    if (!hasContext && answer !== true) return refused
    try {
      // The callback may have changed the auth data; that is kept too.
      return {
        isAllowed: true,
        auth: asObject(auth) as Record<string, unknown>,
        context: hasContext ? asObject(answer) : undefined,
      }
    } catch (error) {
      this.#options.logger.error(
        { err: error },
        `What canConnect returned can't be kept as JSON: ${(error as Error).message}; the client was refused`,
      )
      return refused
    }
  }

  /** Why the client can't have the channel, or `null` if it can. */
  async refusal(channel: string, auth: Record<string, unknown>, context: unknown): Promise<string | null> {
    const { canSubscribe, isReserved, maxChannelBytes, logger } = this.#options
    if (!isUtf8(channel)) return reasons.channelMalformed
    if (Buffer.byteLength(channel) > maxChannelBytes) return reasons.channelTooLong
    if (isReserved(channel)) return reasons.channelRefused
    try {
      // Copies: what the callback does to them would otherwise last on the one transport, and not on the other.
      const answer = await canSubscribe(
        throughJson(auth) as Record<string, unknown>,
        channel,
        throughJson(context),
      )
      return answer === true ? null : reasons.channelRefused
    } catch (error) {
      logger.error({ err: error, channel }, 'canSubscribe failed; the channel was refused')
      return reasons.channelRefused
    }
  }
}

/** The application's part of `auth`; `null` if it is larger than that, or nested too deeply. */
export function readAuthData(auth: Auth, maxBytes: number): Record<string, unknown> | null {
  const data = authData(auth)
  try {
    const json = JSON.stringify(data)
    return Buffer.byteLength(json) > maxBytes || isTooDeep(json) ? null : data
  } catch {
    // The stack was not enough to write it.
    return null
  }
}

/** A list is one too. */
function asObject(value: unknown): object {
  const json = throughJson(value)
  if (typeof json === 'object' && json !== null) return json
  throw new TypeError(`${describe(value)} becomes ${describe(json)}`)
}
