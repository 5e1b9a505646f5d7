import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { BroadcasterOptions, Stats } from '@broadcaster/server'
import { program } from './program.ts'
import { publisherTo } from './publisher.ts'
import type { Subject } from './subject.ts'
import { within } from './waiting.ts'

export type NodeProcess = Subject & {
  readonly pid: number
  /** What `stats()` returns there. Rejects if the process has ended or Redis is away. */
  stats(): Promise<Stats>
  /** The default is `SIGKILL`. Resolves when the process has ended. */
  stop(signal?: NodeJS.Signals): Promise<void>
  /** SIGSTOP: the process stops, and its connections stay open. */
  pause(): void
  resume(): void
}

/** A node in its own process. Its clock differs by `clockMs`. The options must be JSON. */
export async function startNodeProcess(
  options: BroadcasterOptions & { readonly redis: string; readonly port?: number; readonly clockMs?: number },
): Promise<NodeProcess> {
  const main = program(join(import.meta.dirname, 'nodeMain.ts'))
  const args = [main, JSON.stringify(options)]
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  const exited = once(child, 'exit')

  const lines = createInterface({ input: child.stdout })
  const died = exited.then(([code]) => {
    throw new Error(`The node ended with ${code}`)
  })
  died.catch(() => {})
  const [url] = (await within(
    Promise.race([once(lines, 'line'), died]),
    'a node process to listen',
    60_000,
  )) as [string]
  const publisher = publisherTo(options.redis)
  return {
    url,
    pid: child.pid!,
    stats: async () => {
      const response = await fetch(new URL('/stats', url))
      if (!response.ok) throw new Error(`The node has no stats: ${response.status}`)
      return (await response.json()) as Stats
    },
    publish: publisher.publish,
    stop: async (signal = 'SIGKILL') => {
      publisher.close()
      child.kill('SIGCONT')
      child.kill(signal)
      await exited
    },
    pause: () => void child.kill('SIGSTOP'),
    resume: () => void child.kill('SIGCONT'),
  }
}
