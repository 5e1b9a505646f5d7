import type { Request } from 'express'
import { addressKey, isPrivateAddress } from '../input/ipAddress.ts'
import { describe } from '../input/json.ts'
import type { EventLogger } from '../logger.ts'
import { uptimeMs } from '../time/uptime.ts'
import type { RequestRate } from './requestRate.ts'

/** A network address, and what its clients use. All clients of an address share one object. */
export interface Address {
  readonly key: string
  /**
   * False if many clients share the address and cannot be distinguished, for example the address of a proxy. Then no
   * limit applies.
   */
  readonly isOneClients: boolean
  /** The number of WebSocket connections, of sessions, and of requests whose session is not known yet. */
  held: number
  /** The time at which the token bucket for requests without a session is full again. */
  fullAt: number
}

export interface AddressesOptions {
  /** The option `addressOf`; `null` if `req.ip` is used. */
  readonly addressOf: ((req: Request) => unknown) | null
  readonly maxHeld: number
  readonly rate: RequestRate
  readonly logger: EventLogger
}

/** Tracks what each address uses of this node, and applies the limits. */
export class Addresses {
  readonly #options: AddressesOptions
  readonly #known = new Map<string, Address>()
  /**
   * The address of each request. The application's function is called once per request, because it may be expensive.
   */
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

  /** Takes a place for a connection or a session. Returns false if the address has reached its limit. */
  enter(address: Address): boolean {
    if (address.isOneClients && address.held >= this.#options.maxHeld) return false
    address.held += 1
    return true
  }

  leave(address: Address): void {
    address.held -= 1
  }

  /**
   * Takes a token for a request that belongs to no session known on this node. Returns false if the bucket is empty.
   */
  takeRequest(address: Address): boolean {
    if (!address.isOneClients) return true
    const fullAt = this.#options.rate.take(address.fullAt)
    if (fullAt !== null) address.fullAt = fullAt
    return fullAt !== null
  }

  /** Puts the token back, because the request belonged to a session after all. */
  putBackRequest(address: Address): void {
    address.fullAt = this.#options.rate.putBack(address.fullAt)
  }

  /**
   * Removes tokens from the address because a client exceeded a limit. Otherwise the client could reconnect again and
   * again, and would have a full bucket each time.
   */
  fine(address: Address): void {
    address.fullAt = this.#options.rate.takeTime(address.fullAt, FINE_MS)
  }

  /** Forgets addresses that use nothing. Must be called periodically. */
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
    // The IP is missing for a Unix socket, and for a connection that has ended.
    if (ip === undefined) return this.#remember('', false)
    const isBehindProxy = this.#isUnknownProxy(req, ip)
    if (isBehindProxy) this.#warnOfProxy(ip)
    return this.#remember(addressKey(ip), !isBehindProxy)
  }

  /** Calls the option `addressOf`. Returns `undefined` if `req.ip` has to be used. */
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
    // The number of stored addresses is bounded, so that requests from everywhere cannot fill the memory. An address
    // that is forgotten early starts with a full bucket again.
    if (this.#known.size >= MAX_KNOWN) this.sweep()
    address = { key, isOneClients, held: 0, fullAt: 0 }
    if (this.#known.size < MAX_KNOWN) this.#known.set(name, address)
    return address
  }

  /**
   * Whether the request comes through the application's own proxy, while Express' `trust proxy` is not set. Then the
   * proxy's headers about the client are not used.
   */
  #isUnknownProxy(req: Request, ip: string): boolean {
    const { headers, socket } = req
    if (headers['x-forwarded-for'] === undefined && headers.forwarded === undefined) return false
    return ip === socket.remoteAddress && isPrivateAddress(ip)
  }

  #warnOfProxy(ip: string): void {
    if (this.#hasWarnedOfProxy || this.#options.maxHeld === Infinity) return
    this.#hasWarnedOfProxy = true
    this.#options.logger.warn(
      { event: 'trustProxyNotSet', proxy: ip },
      "Clients come through a proxy, and Express' 'trust proxy' is not set: limits.connectionsPerAddress cannot distinguish the clients, and is not applied to them. Set 'trust proxy', or the option addressOf",
    )
  }

  #warnOfFunction(error: unknown): void {
    if (this.#hasWarnedOfFunction) return
    this.#hasWarnedOfFunction = true
    this.#options.logger.error(
      { event: 'addressOfFailed', err: error },
      'addressOf failed; req.ip is used instead. This is logged once',
    )
  }
}

/** The number of tokens that {@link Addresses.fine} removes, in ms of refilling. */
const FINE_MS = 1000
/** The maximum number of addresses that are stored. */
const MAX_KNOWN = 100_000
