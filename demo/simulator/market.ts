import { symbols, type SymbolName } from '../channels.ts'

const opening: Record<SymbolName, number> = {
  coffee: 182.4,
  cocoa: 74.15,
  cotton: 68.9,
  sugar: 19.72,
  wheat: 548.25,
  copper: 431.6,
  silver: 30.85,
  tin: 315.3,
}

/** How far a price moves in a second, as a part of it. */
const VOLATILITY = 0.0016
/** How strongly a price returns to its opening, for each second. */
const RETURN = 0.01

type Price = { value: number; at: number }

/** Prices that move at random, but do not run away. */
export class Market {
  readonly #prices = new Map<SymbolName, Price>()

  /** The new price of a symbol. */
  move(symbol: SymbolName, at: number): number {
    const price = this.#priceOf(symbol, at)
    const seconds = Math.min((at - price.at) / 1000, 5)
    const drift = (opening[symbol] - price.value) * Math.min(1, RETURN * seconds)
    price.value += drift + price.value * VOLATILITY * Math.sqrt(seconds) * bell()
    price.at = at
    return round(price.value)
  }

  order(at: number) {
    const symbol = symbols[Math.floor(Math.random() * symbols.length)]!
    return {
      side: Math.random() < 0.5 ? ('Bought' as const) : ('Sold' as const),
      symbol,
      lots: 5 * (1 + Math.floor(Math.random() * 20)),
      price: round(this.#priceOf(symbol, at).value),
      at,
    }
  }

  #priceOf(symbol: SymbolName, at: number): Price {
    let price = this.#prices.get(symbol)
    if (price === undefined) this.#prices.set(symbol, (price = { value: opening[symbol], at }))
    return price
  }
}

/** Roughly a normal distribution. */
function bell(): number {
  return Math.random() + Math.random() + Math.random() + Math.random() - 2
}

function round(price: number): number {
  return Math.round(price * 100) / 100
}
