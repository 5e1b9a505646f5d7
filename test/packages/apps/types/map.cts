// A map in a CommonJS module, as a server may have it.
import { defineChannels } from '@broadcaster/channels'
import { type } from 'arktype'
import * as v from 'valibot'
import { z } from 'zod'

export const channels = defineChannels({
  orders: z.object({ id: z.number(), at: z.string().transform((text) => new Date(text)) }),
  'room:{id}': v.object({ text: v.string() }),
  'room:lobby': type({ open: 'boolean' }),
  'room:{id}:user:{name}': z.boolean(),
  '{{{tenant}}}.bills': z.number(),
})

// The map of another package of the same application.
export const others = defineChannels({ 'price:{symbol}': z.number() })
