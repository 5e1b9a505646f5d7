import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { demoProgram } from '../support/demoNode.ts'
import { program } from '../support/program.ts'
import { within } from '../support/waiting.ts'

export type NodeCluster = {
  readonly url: string
  /** Replaces the older worker. Resolves with its exit code. */
  reload(): Promise<unknown>
  close(): Promise<unknown>
}

/** Two workers of the demo that share a port through `node:cluster`. Resolves when both are ready. */
export async function startCluster(redis: string, port: number): Promise<NodeCluster> {
  const env = { ...process.env, NODE_OPTIONS: '', NODE_ENV: 'production', HOST: '127.0.0.1' }
  const child = fork(program(join(import.meta.dirname, 'clusterMain.ts')), [demoProgram()], {
    execArgv: [],
    env: { ...env, PORT: String(port), REDIS_URL: redis },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  const exited = once(child, 'exit')
  const message = async (what: string) => {
    const died = exited.then(([code]) => Promise.reject(new Error(`The primary ended with ${code}`)))
    const [answer] = await within(Promise.race([once(child, 'message'), died]), what)
    return answer as unknown
  }
  await message('both workers to be ready')
  return {
    url: `http://127.0.0.1:${port}/broadcast`,
    reload: () => {
      child.send('reload')
      return message('a worker to be replaced')
    },
    close: () => {
      // Its workers end when the primary is gone.
      child.kill('SIGKILL')
      return exited
    },
  }
}
