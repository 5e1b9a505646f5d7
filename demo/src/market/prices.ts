import { symbols, type SymbolName } from '../../channels.ts'
import { Frames } from '../page/Frames.ts'

export type Price = {
  readonly price: number | null
  /** The change since the page has the channel, as a part of the first price. */
  readonly change: number
  readonly n: number
}

export type Line = [seconds: number[], prices: (number | null)[]]

/** The chart has one point for this time. */
const POINT_MS = 100
export const LINE_SECONDS = 60
const MOST_POINTS = (LINE_SECONDS * 1000) / POINT_MS + 50

const none: Price = { price: null, change: 0, n: 0 }

/** The newest prices, and a line for each. A message costs the same at every rate: one point for a tenth of a second is kept. */
export class Prices extends Frames<Readonly<Record<SymbolName, Price>>> {
  readonly #rows = Object.fromEntries(symbols.map((symbol) => [symbol, none])) as Record<SymbolName, Price>
  readonly #first = new Map<SymbolName, number>()
  readonly #lines = new Map<SymbolName, Line>(symbols.map((symbol) => [symbol, [[], []]]))
  #offset = Infinity

  record(symbol: SymbolName, price: number, n: number, at: number): void {
    const first = this.#first.get(symbol) ?? price
    this.#first.set(symbol, first)
    this.#rows[symbol] = { price, n, change: price / first - 1 }
    this.#offset = Math.min(this.#offset, Date.now() - at)
    this.#point(symbol, at, price)
    this.changed()
  }

  /** The line is interrupted where messages were missed. */
  gap(symbol: SymbolName): void {
    const last = this.#lines.get(symbol)![0].at(-1)
    if (last !== undefined) this.#point(symbol, last * 1000 + POINT_MS, null)
  }

  /** The last minute. The arrays are always the same. */
  lineOf(symbol: SymbolName): Line {
    return this.#lines.get(symbol)!
  }

  /** The time of the publisher, in seconds. */
  now(): number {
    return (Date.now() - (this.#offset === Infinity ? 0 : this.#offset)) / 1000
  }

  protected takeSnapshot(): Readonly<Record<SymbolName, Price>> {
    return { ...this.#rows }
  }

  #point(symbol: SymbolName, at: number, price: number | null): void {
    const [seconds, prices] = this.#lines.get(symbol)!
    const second = Math.floor(at / POINT_MS) * (POINT_MS / 1000)
    const last = seconds.at(-1) ?? 0
    if (second < last) return
    if (second === last) {
      prices[prices.length - 1] = price
      return
    }
    seconds.push(second)
    prices.push(price)
    if (seconds.length > MOST_POINTS) {
      seconds.shift()
      prices.shift()
    }
  }
}
