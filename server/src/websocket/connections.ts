import { setTimeout as delay } from 'node:timers/promises'
import { BufferBudget } from './bufferBudget.ts'
import type { Connection } from './connection.ts'
import type { Link } from './link.ts'
import { isMatch, type Match } from '../input/match.ts'
import type { Limits } from '../limits.ts'
import type { LimitName } from '../metrics/counts.ts'

/** How long a client takes to move to another node. Its reconnection is spread over a second. */
const MOVING_MS = 2000
const DRAIN_STEP_MS = 100
/** Within this time, all clients are asked for credentials again. */
const REAUTHORIZE_MS = 1000

/** The WebSocket connections of this node, until their sockets are gone. */
export class Connections {
  /** The budget for the bytes that wait for all of them. */
  readonly budget: BufferBudget
  readonly #links = new Map<Connection, Link>()
  /** The newest connection of each client that has a name. */
  readonly #newest = new Map<string, Connection>()

  constructor({ bufferedBytes, totalBufferedBytes }: Limits, limitCounts: Record<LimitName, number>) {
    const clients = { [Symbol.iterator]: () => this.#open() }
    this.budget = new BufferBudget(bufferedBytes, totalBufferedBytes, clients, () => {
      limitCounts.totalBufferedBytes += 1
    })
  }

  /** The links of all connections. A connection may be closed, and its socket still closing. */
  get links(): Iterable<Link> {
    return this.#links.values()
  }

  get areGone(): boolean {
    return this.#links.size === 0
  }

  get authenticated(): number {
    return this.#count((connection) => connection.isOpen)
  }

  get lagging(): number {
    return this.#count((connection) => connection.isLagging)
  }

  add(connection: Connection, link: Link): void {
    this.#links.set(connection, link)
  }

  /** The socket of the connection is gone. */
  remove(connection: Connection): void {
    this.#links.delete(connection)
  }

  /** The connection is closed. Its socket may take longer. */
  closed(connection: Connection): void {
    const { client } = connection
    if (client !== null && this.#newest.get(client) === connection) this.#newest.delete(client)
  }

  /** Registers the new connection of a client. It replaces the older one. */
  register(client: string, connection: Connection): void {
    this.replace(client, connection.generation)
    this.#newest.set(client, connection)
  }

  /** Ends a connection of the client with a lower generation. */
  replace(client: string, generation: number): void {
    const older = this.#newest.get(client)
    if (older !== undefined && older.generation < generation) older.close('replaced')
  }

  /** Calls `act` with every connection whose context matches. */
  forEach(match: Match, act: (connection: Connection) => void): void {
    for (const connection of this.#links.keys()) {
      if (connection.isOpen && isMatch(match, connection.context)) act(connection)
    }
  }

  /**
   * Asks the clients whose context matches for credentials again. Thousands are spread over a second, so that they don't come back
   * together. A few are not delayed.
   */
  reauthorize(match: Match): void {
    const matching: Connection[] = []
    this.forEach(match, (connection) => void matching.push(connection))
    const withinMs = Math.min(matching.length, REAUTHORIZE_MS)
    for (const connection of matching) setTimeout(() => connection.reauthorize(), Math.random() * withinMs)
  }

  /** Ends the connections whose client is not known yet. */
  endUnauthenticated(): void {
    for (const connection of this.#open()) connection.endUnauthenticated()
  }

  /** Detects clients that do not read, and applies the budget. Must be called periodically. */
  sweep(): void {
    this.budget.measure()
    for (const connection of this.#open()) connection.sweep()
  }

  /** Asks all clients to move to another node, one after the other in random order, within `ms`. */
  async drain(ms: number): Promise<void> {
    const connections = [...this.#open()].sort(() => Math.random() - 0.5)
    const perStep = Math.ceil(connections.length / Math.max(1, Math.ceil(ms / DRAIN_STEP_MS)))
    for (let i = 0; i < connections.length; i += perStep) {
      for (const connection of connections.slice(i, i + perStep)) connection.close('restart')
      await delay(DRAIN_STEP_MS)
    }
    // Until they have come to another node, and that node has requested the messages that it lacks.
    await delay(Math.min(ms, MOVING_MS))
  }

  close(): void {
    for (const connection of this.#open()) connection.close('goingAway')
  }

  *#open(): Generator<Connection> {
    for (const connection of this.#links.keys()) if (!connection.isClosed) yield connection
  }

  #count(isMeant: (connection: Connection) => boolean): number {
    let count = 0
    for (const connection of this.#open()) if (isMeant(connection)) count += 1
    return count
  }
}
