import { reasons } from '@broadcaster/protocol'
import type { Request } from 'express'
import type { Logger } from './logger.ts'

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
  { readonly isAllowed: true; readonly context: unknown } | { readonly isAllowed: false }

/** Asks the application's callbacks; one that throws or rejects has refused, and is logged. */
export class Access {
  readonly #options: AccessOptions

  constructor(options: AccessOptions) {
    this.#options = options
  }

  async connect(auth: Record<string, unknown>, req: Request): Promise<AccessAnswer> {
    try {
      const answer: unknown = await this.#options.canConnect(auth, req)
      if (typeof answer === 'object' && answer !== null) return { isAllowed: true, context: answer }
      return answer === true ? { isAllowed: true, context: undefined } : { isAllowed: false }
    } catch (error) {
      this.#options.logger.error({ err: error }, 'canConnect failed; the client was refused')
      return { isAllowed: false }
    }
  }

  /** Why the client can't have the channel, or `null` if it can. */
  async refusal(channel: string, auth: Record<string, unknown>, context: unknown): Promise<string | null> {
    const { canSubscribe, isReserved, maxChannelBytes, logger } = this.#options
    if (Buffer.byteLength(channel) > maxChannelBytes) return reasons.channelTooLong
    if (isReserved(channel)) return reasons.channelRefused
    try {
      return (await canSubscribe(auth, channel, context)) === true ? null : reasons.channelRefused
    } catch (error) {
      logger.error({ err: error, channel }, 'canSubscribe failed; the channel was refused')
      return reasons.channelRefused
    }
  }
}
