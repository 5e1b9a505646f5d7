import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Publisher } from './publisher.ts'
import type { Latency, Tally } from './tally.ts'

/** If nothing arrives for this time, the missing messages count as lost. */
const STALL_MS = 10_000

export type Flood = {
  /** Messages are published to these channels in turn. */
  readonly channels: number
  /** How many connections get each message. */
  readonly fanOut: number
  /** How many messages are in flight at the same time. */
  readonly window: number
  readonly seconds: number
  /** Stops earlier, after about this number of messages. */
  readonly messages?: number
}

export type Steady = {
  readonly channels: number
  readonly fanOut: number
  /** Messages a second. */
  readonly rate: number
}

export type Delivered = {
  readonly messages: number
  readonly deliveries: number
  readonly lost: number
  /** Messages that arrived twice or out of order. */
  readonly disorder: number
  /** From the first publish to the last delivery. */
  readonly seconds: number
}

/** Publishes as fast as the peer delivers: whenever a message has reached all connections, the next one is published. */
export async function flood(publisher: Publisher, tally: Tally, options: Flood): Promise<Delivered> {
  const { channels, fanOut, window, seconds, messages = Number.POSITIVE_INFINITY } = options
  const count = countFrom(publisher, tally)
  const until = performance.now() + seconds * 1000
  await new Promise<void>((resolve) => {
    let isPublishing = true
    const topUp = () => {
      const delivered = count.deliveries()
      let free = window - count.messages() + Math.floor(delivered / fanOut)
      // Most chunks make no room in the window: only one of `fanOut` does.
      if (isPublishing && free > 0) {
        isPublishing = performance.now() < until && count.messages() < messages
        if (isPublishing) {
          for (; free > 0; free--) publisher.add(publisher.published % channels)
          publisher.flush()
        }
      }
      if (!isPublishing && delivered >= count.messages() * fanOut) resolve()
    }
    tally.afterChunk = topUp
    topUp()
    stalled(tally).then(resolve)
  })
  tally.afterChunk = null
  return count.take(fanOut)
}

/** Publishes at a fixed rate that does not depend on the peer, and measures latency from the scheduled time. */
export class SteadyTraffic {
  readonly #publisher: Publisher
  readonly #tally: Tally
  readonly #options: Steady
  readonly #count
  readonly #scheduled: number[] = []
  readonly #begin = performance.now()
  #timer: NodeJS.Timeout | null = null

  constructor(publisher: Publisher, tally: Tally, options: Steady) {
    this.#publisher = publisher
    this.#tally = tally
    this.#options = options
    this.#count = countFrom(publisher, tally)
    tally.measureLatency(this.#scheduled, publisher.published)
    this.#publishDue()
  }

  /** Stops publishing. Waits until everything has arrived, or nothing more arrives. */
  async finish(): Promise<Delivered & Latency> {
    if (this.#timer !== null) clearTimeout(this.#timer)
    const { fanOut } = this.#options
    const arrived = new Promise<void>((resolve) => {
      const check = () => {
        if (this.#count.deliveries() >= this.#count.messages() * fanOut) resolve()
      }
      this.#tally.afterChunk = check
      check()
    })
    await Promise.race([arrived, stalled(this.#tally)])
    this.#tally.afterChunk = null
    return { ...this.#count.take(fanOut), ...this.#tally.takeLatency() }
  }

  #publishDue(): void {
    const interval = 1000 / this.#options.rate
    const now = performance.now()
    for (;;) {
      const next = this.#count.messages()
      const at = this.#begin + next * interval
      if (at > now) {
        this.#publisher.flush()
        this.#timer = setTimeout(() => this.#publishDue(), at - now)
        return
      }
      this.#scheduled[next] = at
      this.#publisher.add(this.#publisher.published % this.#options.channels)
    }
  }
}

/** Resolves when nothing has been delivered for a while. */
async function stalled(tally: Tally): Promise<void> {
  for (let before = -1; before !== tally.deliveries;) {
    before = tally.deliveries
    await sleep(STALL_MS, undefined, { ref: false })
  }
}

function countFrom(publisher: Publisher, tally: Tally) {
  const begin = performance.now()
  const { deliveries, disorder } = tally
  const { published } = publisher
  return {
    messages: () => publisher.published - published,
    deliveries: () => tally.deliveries - deliveries,
    take: (fanOut: number): Delivered => {
      const messages = publisher.published - published
      const arrived = tally.deliveries - deliveries
      return {
        messages,
        deliveries: arrived,
        lost: messages * fanOut - arrived,
        disorder: tally.disorder - disorder,
        seconds: (performance.now() - begin) / 1000,
      }
    },
  }
}
