import { defineChannels, text } from '@broadcaster/channels'
import { literal, number, object, picklist, string, union } from 'valibot'

/** The channels of the demo, for its server and its page. */

export const symbols = ['coffee', 'cocoa', 'cotton', 'sugar', 'wheat', 'copper', 'silver', 'tin'] as const
export type SymbolName = (typeof symbols)[number]

/** A price. The page counts with `n`, which is consecutive in each channel. */
const Tick = object({
  price: number(),
  /** When it was published, in ms since 1970. */
  at: number(),
  n: number(),
  /** Which publisher has counted: another one begins at 1. */
  run: number(),
  /** How many numbers before this one belong to messages that Redis has perhaps never got: it did not answer. */
  unsure: number(),
})

const Note = object({ author: string(), text: string(), at: number() })

/** An order of the desk, which only traders may see. */
const Order = object({
  side: union([literal('Bought'), literal('Sold')]),
  symbol: picklist(symbols),
  lots: number(),
  price: number(),
  at: number(),
})

/** How many messages a second the simulator publishes. */
const Rate = object({ perSecond: number() })

const ticks = Object.fromEntries(symbols.map((symbol) => [`ticks:${symbol}`, Tick])) as {
  [Name in `ticks:${SymbolName}`]: typeof Tick
}

export const channels = defineChannels({
  ...ticks,
  notes: Note,
  desk: Order,
  rate: Rate,
  // Every other name is a channel with plain text: redis-cli PUBLISH news hello
  '{channel}': text,
})
