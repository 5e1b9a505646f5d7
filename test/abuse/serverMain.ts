import type { AddressInfo } from 'node:net'
import { broadcaster, type Stats } from '@broadcaster/server'
import express from 'express'
import { memory, memoryInUse, type Memory } from '../support/memory.ts'

export type Ask = 'measure' | 'stats'
export type Answer = { readonly memory: Memory; readonly peak: number; readonly stats: Stats | null }

const SLOW_MS = 300

// Every limit has its default value: what an application gets that sets none.
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
const app = express()
app.use('/live', live)
const server = app.listen(0, '127.0.0.1')
await live.ready()
process.on('message', (ask: Ask) => void answer(ask))
process.on('disconnect', () => process.exit())
process.send!({ port: (server.address() as AddressInfo).port })

async function answer(ask: Ask): Promise<void> {
  const used = ask === 'measure' ? await memoryInUse() : memory()
  const stats = await live.stats().catch(() => null)
  const peak = process.resourceUsage().maxRSS * 1024
  process.send!({ memory: used, peak, stats } satisfies Answer)
}

function log(fields: object, text?: string): void {
  console.log(text, fields)
}
