import type { Request } from 'express'
import { addressKey, isPrivateAddress } from '../input/ipAddress.ts'
import { describe } from '../input/json.ts'
import type { Logger } from '../logger.ts'
import { uptimeMs } from '../time/uptime.ts'
import type { RequestRate } from './requestRate.ts'

/** Where clients come from: one object for all clients of an address. */
export interface Address {
  readonly key: string
  /** False if many clients share it and nobody can tell them apart, such as that of a proxy. Then nothing is limited. */
  readonly isOneClients: boolean
  /** WebSocket connections, sessions, and requests of which it is not known yet whose they are. */
  held: number
  /** When the bucket for requests without a session is full again. */
  fullAt: number
}

export interface AddressesOptions {
  /** `null`: `req.ip`. */
  readonly addressOf: ((req: Request) => unknown) | null
  readonly maxHeld: number
  readonly rate: RequestRate
  readonly logger: Logger
}

/** What each address uses of this node. */
export class Addresses {
  readonly #options: AddressesOptions
  readonly #known = new Map<string, Address>()
  /** A request is asked once, as the application's function may have a price. */
  readonly #ofRequests = new WeakMap<Request, Address>()
  #hasWarnedOfProxy = false
  #hasWarnedOfFunction = false

  constructor(options: AddressesOptions) {
    this.#options = options
  }

  of(req: Request): Address {
    let address = this.#ofRequests.get(req)
    if (address === undefined) this.#ofRequests.set(req, (address = this.#find(req)))
    return address
  }

  /** Takes a place for a connection or a session. False if the address has all that it may have. */
  enter(address: Address): boolean {
    if (address.isOneClients && address.held >= this.#options.maxHeld) return false
    address.held += 1
    return true
  }

  leave(address: Address): void {
    address.held -= 1
  }

  /** A request that belongs to no session that is known here. False if there were too many. */
  takeRequest(address: Address): boolean {
    if (!address.isOneClients) return true
    const fullAt = this.#options.rate.take(address.fullAt)
    if (fullAt !== null) address.fullAt = fullAt
    return fullAt !== null
  }

  /** The request belonged to a session after all. */
  putBackRequest(address: Address): void {
    address.fullAt = this.#options.rate.putBack(address.fullAt)
  }

  /** A client has sent too much. If it came back at once, and again and again, it would have a full bucket each time. */
  fine(address: Address): void {
    address.fullAt = this.#options.rate.takeTime(address.fullAt, FINE_MS)
  }

  retryAfterSeconds(address: Address): number {
    return this.#options.rate.retryAfterSeconds(address.fullAt)
  }

  /** To be called now and then: forgets addresses that use nothing. */
  sweep(): void {
    const now = uptimeMs()
    for (const [name, { held, fullAt }] of this.#known) {
      if (held === 0 && fullAt <= now) this.#known.delete(name)
    }
  }

  #find(req: Request): Address {
    const own = this.#askApplication(req)
    if (own === null) return this.#remember('', false)
    if (own !== undefined) return this.#remember(addressKey(own), true)
    const { ip } = req
    // Of a Unix socket, or of a connection that has ended.
    if (ip === undefined) return this.#remember('', false)
    const isBehindProxy = this.#isUnknownProxy(req, ip)
    if (isBehindProxy) this.#warnOfProxy(ip)
    return this.#remember(addressKey(ip), !isBehindProxy)
  }

  /** `undefined`: it is `req.ip` that counts. */
  #askApplication(req: Request): string | null | undefined {
    const { addressOf } = this.#options
    if (addressOf === null) return undefined
    try {
      const answer = addressOf(req)
      if (answer === null || (typeof answer === 'string' && answer !== '')) return answer
      throw new TypeError(`expected a string or null, got ${describe(answer)}`)
    } catch (error) {
      this.#warnOfFunction(error)
      return undefined
    }
  }

  #remember(key: string, isOneClients: boolean): Address {
    const name = isOneClients ? key : `proxy ${key}`
    let address = this.#known.get(name)
    if (address !== undefined) return address
    // Requests from everywhere must not fill the memory: what is forgotten early has a full bucket again.
    if (this.#known.size >= MAX_KNOWN) this.sweep()
    address = { key, isOneClients, held: 0, fullAt: 0 }
    if (this.#known.size < MAX_KNOWN) this.#known.set(name, address)
    return address
  }

  /** A proxy of one's own which Express has not been told of: what it says of its clients does not count. */
  #isUnknownProxy(req: Request, ip: string): boolean {
    const { headers, socket } = req
    if (headers['x-forwarded-for'] === undefined && headers.forwarded === undefined) return false
    return ip === socket.remoteAddress && isPrivateAddress(ip)
  }

  #warnOfProxy(ip: string): void {
    if (this.#hasWarnedOfProxy || this.#options.maxHeld === Infinity) return
    this.#hasWarnedOfProxy = true
    this.#options.logger.warn(
      { proxy: ip },
      "Clients come through a proxy, and Express' 'trust proxy' is not set: limits.connectionsPerAddress can't tell them apart, and limits nobody. Set 'trust proxy', or the option addressOf",
    )
  }

  #warnOfFunction(error: unknown): void {
    if (this.#hasWarnedOfFunction) return
    this.#hasWarnedOfFunction = true
    this.#options.logger.error(
      { err: error },
      'addressOf failed; req.ip is used in its place. This is logged once',
    )
  }
}

/** A client that sent too much costs its address so much of its bucket, in ms of refilling. */
const FINE_MS = 1000
/** Addresses that are remembered at most. */
const MAX_KNOWN = 100_000
