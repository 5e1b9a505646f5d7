import type { Request } from 'express'
import type { LimitName } from '../metrics/counts.ts'
import type { EventLogger } from '../logger.ts'
import type { Limits } from '../limits.ts'
import { Addresses } from './addresses.ts'
import { KnownSessions } from './knownSessions.ts'
import { Refusals, type RefusalLevel } from './refusals.ts'
import { RequestRate } from './requestRate.ts'

export interface AdmissionOptions {
  readonly limits: Limits
  /** Counts how often each limit was reached. */
  readonly limitCounts: Record<LimitName, number>
  readonly addressOf: ((req: Request) => unknown) | null
  readonly refusalLevel: RefusalLevel | undefined
  readonly logger: EventLogger
  /** How long a long-poll session can live after its last request, in ms. */
  readonly sessionLifeMs: number
}

/** The limits for what clients may use of this node, on both transports, and the log of refusals. */
export class Admission {
  readonly refusals: Refusals
  /** The rate limit for one client: for the frames of a connection, or for the requests of a session. */
  readonly requests: RequestRate
  readonly addresses: Addresses
  readonly sessions: KnownSessions

  constructor({ limits, limitCounts, addressOf, refusalLevel, logger, sessionLifeMs }: AdmissionOptions) {
    const { requestsPerSecond, channelsPerConnection, connectionsPerAddress, connections } = limits
    this.refusals = new Refusals(logger, refusalLevel, limitCounts)
    this.requests = rateOf(requestsPerSecond, 2 * channelsPerConnection)
    this.addresses = new Addresses({
      addressOf,
      maxHeld: connectionsPerAddress,
      // All clients of an address may have to reconnect at once, each with a handshake or a few requests.
      rate: rateOf(requestsPerSecond, 2 * connectionsPerAddress),
      logger,
    })
    this.sessions = new KnownSessions(this.addresses, this.requests, connections, sessionLifeMs)
  }

  /** Must be called periodically. */
  sweep(): void {
    this.sessions.sweep()
    this.addresses.sweep()
    this.refusals.sweep()
  }
}

/** A bucket with a capacity of at least the requests of one second. */
function rateOf(perSecond: number, burst: number): RequestRate {
  return new RequestRate(perSecond, Math.max(burst, perSecond))
}
