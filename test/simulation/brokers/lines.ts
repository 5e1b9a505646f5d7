import { writeNumber } from '../broker.ts'
import type { Place } from '../oracle.ts'
import type { Server } from './server.ts'

/**
 * Numbers the messages of each channel, and notes their lines. A line is the time in which a process owns a slot without a break.
 * If the slot was elsewhere, but nothing was published there, it is the same line.
 */
export class Lines {
  /** The place of each message of each channel, in the order of their numbers. */
  readonly #places = new Map<string, Place[]>()
  /** The last message of each channel in each line. */
  readonly #ends = new Map<string, number>()
  /** The last line of each slot, and the process of it. */
  readonly #last = new Map<number, { readonly line: number; readonly runId: string }>()
  #count = 0

  /** The number of the last message. */
  head(channel: string): number {
    return this.#places.get(channel)?.length ?? 0
  }

  placeOf(channel: string, n: number): Place {
    return this.#places.get(channel)![n - 1]!
  }

  /** The number of the last message of the channel in the line. */
  endOf(channel: string, line: number): number {
    return this.#ends.get(`${line} ${channel}`) ?? 0
  }

  /** The server publishes the next message of the channel. Returns its body. */
  publish(server: Server, channel: string, slot: number): string {
    const places = this.#places.get(channel) ?? []
    this.#places.set(channel, places)
    const line = this.known(server, slot) ?? ++this.#count
    server.lines.set(slot, line)
    this.#last.set(slot, { line, runId: server.runId })
    places.push({ line, before: this.endOf(channel, line) })
    this.#ends.set(`${line} ${channel}`, places.length)
    return writeNumber(places.length)
  }

  /** The line in which the server would publish; `null` if it would begin a new one. */
  known({ lines, runId }: Server, slot: number): number | null {
    const last = this.#last.get(slot)
    return lines.get(slot) ?? (last?.runId === runId ? last.line : null)
  }
}
