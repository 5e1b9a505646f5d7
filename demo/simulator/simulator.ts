import { symbols, type SymbolName } from '../channels.ts'
import { Market } from './market.ts'
import type { Broker } from './broker.ts'

export const MOST_PER_SECOND = 5_000
const FIRST_PER_SECOND = 100

const STEP_MS = 20
const LEAD_EVERY_MS = 500
const ORDER_EVERY_MS = 1_500
/** After a longer pause of the process, it does not make up for it. */
const LONGEST_DEBT_MS = 500
/** After a failure, Redis gets this time. */
const PAUSE_MS = 250

type Count = { n: number; unsure: number }

/** Publishes prices and orders. Of all nodes with one Redis, only one publishes. */
export class Simulator {
  readonly #broker: Broker
  readonly #market = new Market()
  readonly #run = Date.now()
  readonly #counts: Record<SymbolName, Count>
  readonly #timers: NodeJS.Timeout[] = []
  #perSecond = FIRST_PER_SECOND
  #isLeader = false
  #debt = 0
  #steppedAt = 0
  #pausedUntil = 0
  #turn = 0

  constructor(broker: Broker) {
    this.#broker = broker
    this.#counts = Object.fromEntries(symbols.map((symbol) => [symbol, { n: 0, unsure: 0 }])) as Record<
      SymbolName,
      Count
    >
  }

  get perSecond(): number {
    return this.#perSecond
  }

  start(): void {
    void this.#lead()
    this.#timers.push(
      setInterval(() => void this.#lead(), LEAD_EVERY_MS),
      setInterval(() => this.#step(), STEP_MS),
      setInterval(() => this.#order(), ORDER_EVERY_MS),
    )
  }

  stop(): void {
    for (const timer of this.#timers) clearInterval(timer)
    this.#broker.close()
  }

  /** On whatever node this is called, the one that publishes follows. */
  async setRate(perSecond: number): Promise<void> {
    await this.#broker.setRate(perSecond)
    this.#perSecond = perSecond
    await this.#broker.publish('rate', { perSecond })
  }

  async #lead(): Promise<void> {
    try {
      const { isLeader, perSecond } = await this.#broker.lead()
      this.#perSecond = perSecond ?? this.#perSecond
      this.#isLeader = isLeader
    } catch {
      // Without Redis nobody can publish. The broadcaster logs that it is away.
      this.#isLeader = false
    }
  }

  #step(): void {
    const now = Date.now()
    const elapsedMs = Math.min(now - this.#steppedAt, LONGEST_DEBT_MS)
    this.#steppedAt = now
    if (!this.#isLeader || now < this.#pausedUntil) return
    this.#debt += (elapsedMs / 1000) * this.#perSecond
    for (; this.#debt >= 1; this.#debt--) this.#tick(symbols[this.#turn++ % symbols.length]!, now)
  }

  #tick(symbol: SymbolName, at: number): void {
    const count = this.#counts[symbol]
    const { unsure } = count
    const n = ++count.n
    const price = this.#market.move(symbol, at)
    this.#broker.publish(`ticks:${symbol}`, { price, at, n, run: this.#run, unsure }).then(
      // Later messages name it too until one of them has an answer.
      () => (count.unsure = Math.max(0, count.unsure - unsure)),
      () => {
        count.unsure++
        this.#pausedUntil = Date.now() + PAUSE_MS
      },
    )
  }

  #order(): void {
    if (!this.#isLeader) return
    const order = this.#market.order(Date.now())
    // An order that Redis does not take is not missed by anybody.
    this.#broker.publish('desk', order).catch(() => {})
  }
}
