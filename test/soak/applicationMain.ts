import type { Stats } from '@broadcaster/server'
import { memoryInUse, type Memory } from '../support/memory.ts'
import {
  startApplication,
  type ApplicationSetup,
  type BroadcasterName,
  type Stranger,
} from './application.ts'

export type Ask =
  | { readonly type: 'look' }
  /** Collects garbage and returns the memory in use. */
  | { readonly type: 'measure' }
  /** Publishes with the broadcaster that has no Redis. */
  | { readonly type: 'publish'; readonly channel: string; readonly body: string }

export type Look = {
  readonly stats: Readonly<Record<BroadcasterName, Stats>>
  readonly strangers: readonly Stranger[]
  readonly faults: readonly string[]
  readonly warnings: readonly string[]
  readonly logged: Readonly<Record<string, number>>
}

// This process has no listener for uncaught exceptions or unhandled rejections, so they end it as usual.
const application = await startApplication(JSON.parse(process.argv[2]!) as ApplicationSetup)
process.on('message', (ask: Ask) => void answer(ask))
// The process that started this one has ended.
process.on('disconnect', () => process.exit())
process.send!({ ports: application.ports })

async function answer(ask: Ask): Promise<void> {
  switch (ask.type) {
    case 'look':
      return void process.send!(await look())
    case 'measure':
      return void process.send!(await measure())
    case 'publish':
      return publish(ask.channel, ask.body)
  }
}

async function publish(channel: string, body: string): Promise<void> {
  const { memory, small } = application.broadcasters
  try {
    await memory.publish(channel, body)
    await small.publish(channel, body)
  } catch (error) {
    // Some names of channels are refused. Any other error ends the process.
    if ((error as { code?: unknown }).code !== 'invalidOption') throw error
  }
}

async function look(): Promise<Look> {
  const { broadcasters, noticed } = application
  const stats = await Promise.all(
    Object.entries(broadcasters).map(async ([name, each]) => [name, await each.stats()] as const),
  )
  return {
    stats: Object.fromEntries(stats) as Look['stats'],
    strangers: application.strangers(),
    faults: noticed.faults,
    warnings: noticed.warnings,
    logged: noticed.logged,
  }
}

async function measure(): Promise<Memory> {
  application.forgetSessions()
  return memoryInUse()
}
