import type { AddressInfo } from 'node:net'
import { broadcaster, type Stats } from '@broadcaster/server'
import express from 'express'
import { memory, memoryInUse, type Memory } from '../support/memory.ts'
import { measureLoad, type Load } from './load.ts'

export type Ask = 'measure' | 'stats'
export type Answer = {
  readonly memory: Memory
  readonly peak: number
  /** Since the last `measure`. */
  readonly load: Load
  readonly stats: Stats | null
}

const SLOW_MS = 300

// Every limit has its default value, as in an application that sets none.
const live = broadcaster({
  redis: process.argv[2]!,
  canConnect: async (auth) => {
    if (auth['slow'] === true) await new Promise((resolve) => setTimeout(resolve, SLOW_MS))
    return auth['deny'] !== true
  },
  canSubscribe: async (_auth, channel) => {
    if (channel.startsWith('slow')) await new Promise((resolve) => setTimeout(resolve, SLOW_MS))
    return !channel.startsWith('denied')
  },
  logger: { debug() {}, info() {}, warn: log, error: log },
})
let load = measureLoad()
const app = express()
app.use('/live', live)
const server = app.listen(0, '127.0.0.1')
await live.ready()
process.on('message', (ask: Ask) => void answer(ask))
process.on('disconnect', () => process.exit())
process.send!({ port: (server.address() as AddressInfo).port })

async function answer(ask: Ask): Promise<void> {
  const used = ask === 'measure' ? await memoryInUse() : memory()
  if (ask === 'measure') load = measureLoad()
  const stats = await live.stats().catch(() => null)
  const peak = process.resourceUsage().maxRSS * 1024
  process.send!({ memory: used, peak, load: load(), stats } satisfies Answer)
}

function log(fields: object, text?: string): void {
  console.log(text, fields)
}
