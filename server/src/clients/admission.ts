import type { Request } from 'express'
import type { Logger } from '../logger.ts'
import type { Limits } from '../options.ts'
import { Addresses } from './addresses.ts'
import { KnownSessions } from './knownSessions.ts'
import { Refusals, type RefusalLevel } from './refusals.ts'
import { RequestRate } from './requestRate.ts'

export interface AdmissionOptions {
  readonly limits: Limits
  readonly addressOf: ((req: Request) => unknown) | null
  readonly refusalLevel: RefusalLevel | undefined
  readonly logger: Logger
  /** How long a long-poll session can live after its last request, in ms. */
  readonly sessionLifeMs: number
}

/** How much clients may ask of this node, on both transports, and what they were refused. */
export class Admission {
  readonly refusals: Refusals
  /** Of one client: the frames of a connection, or the requests of a session. */
  readonly requests: RequestRate
  readonly addresses: Addresses
  readonly sessions: KnownSessions

  constructor({ limits, addressOf, refusalLevel, logger, sessionLifeMs }: AdmissionOptions) {
    const { requestsPerSecond, channelsPerConnection, connectionsPerAddress, connections } = limits
    this.refusals = new Refusals(logger, refusalLevel)
    this.requests = rateOf(requestsPerSecond, 2 * channelsPerConnection)
    this.addresses = new Addresses({
      addressOf,
      maxHeld: connectionsPerAddress,
      // All clients of an address may have to come back at once, each with a handshake or with a few requests.
      rate: rateOf(requestsPerSecond, 2 * connectionsPerAddress),
      logger,
    })
    this.sessions = new KnownSessions(this.addresses, this.requests, connections, sessionLifeMs)
  }

  /** To be called now and then. */
  sweep(): void {
    this.sessions.sweep()
    this.addresses.sweep()
    this.refusals.sweep()
  }
}

/** A bucket has room for a second's requests at least. */
function rateOf(perSecond: number, burst: number): RequestRate {
  return new RequestRate(perSecond, Math.max(burst, perSecond))
}
