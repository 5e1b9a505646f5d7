import { setTimeout as delay } from 'node:timers/promises'
import { BufferBudget } from './bufferBudget.ts'
import type { Connection } from './connection.ts'
import { isMatch, type Match } from '../input/match.ts'
import type { Limits } from '../limits.ts'

/** How long a client takes to move: its reconnection is spread over a second. */
const MOVING_MS = 2000
const DRAIN_STEP_MS = 100

/** The WebSocket connections of this node, found by what they are asked for. */
export class Connections {
  /** What waits for all of them. */
  readonly budget: BufferBudget
  readonly #all = new Set<Connection>()
  /** The newest connection of each client that gave itself a name. */
  readonly #newest = new Map<string, Connection>()

  constructor({ bufferedBytes, totalBufferedBytes }: Limits) {
    this.budget = new BufferBudget(bufferedBytes, totalBufferedBytes, this.#all)
  }

  get authenticated(): number {
    return this.#count((connection) => connection.isOpen)
  }

  get lagging(): number {
    return this.#count((connection) => connection.isLagging)
  }

  add(connection: Connection): void {
    this.#all.add(connection)
  }

  remove(connection: Connection): void {
    this.#all.delete(connection)
    const { client } = connection
    if (client !== null && this.#newest.get(client) === connection) this.#newest.delete(client)
  }

  /** The client has a new connection, which replaces its older one. */
  register(client: string, connection: Connection): void {
    this.replace(client, connection.generation)
    this.#newest.set(client, connection)
  }

  /** A connection of the client with a lower generation ends. */
  replace(client: string, generation: number): void {
    const older = this.#newest.get(client)
    if (older !== undefined && older.generation < generation) older.close('replaced')
  }

  /** Calls `act` with every connection whose context has everything that `match` has. */
  forEach(match: Match, act: (connection: Connection) => void): void {
    for (const connection of this.#all) {
      if (connection.isOpen && isMatch(match, connection.context)) act(connection)
    }
  }

  /** Ends those of whom nobody knows yet who they are. */
  endUnknown(): void {
    for (const connection of this.#all) connection.endUnknown()
  }

  /** To be called now and then: finds those who don't read, and keeps what waits for all within its limit. */
  sweep(): void {
    this.budget.measure()
    for (const connection of this.#all) connection.sweep()
  }

  /** Asks all clients to move to another node, one after the other in no order, over `ms`. */
  async drain(ms: number): Promise<void> {
    const connections = [...this.#all].sort(() => Math.random() - 0.5)
    const perStep = Math.ceil(connections.length / Math.max(1, Math.ceil(ms / DRAIN_STEP_MS)))
    for (let i = 0; i < connections.length; i += perStep) {
      for (const connection of connections.slice(i, i + perStep)) connection.close('restart')
      await delay(DRAIN_STEP_MS)
    }
    // Until they have come to another node, and that has asked for what it doesn't have.
    await delay(Math.min(ms, MOVING_MS))
  }

  close(): void {
    for (const connection of this.#all) connection.close('goingAway')
  }

  #count(isMeant: (connection: Connection) => boolean): number {
    let count = 0
    for (const connection of this.#all) if (isMeant(connection)) count += 1
    return count
  }
}
