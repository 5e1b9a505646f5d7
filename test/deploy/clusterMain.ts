import cluster, { type Worker } from 'node:cluster'
import { once } from 'node:events'

/**
 * The primary of two workers. Each message replaces the older one as `pm2 reload` does: it gets SIGINT when its successor says
 * 'ready'. The answer is how it has ended.
 */

cluster.setupPrimary({ exec: process.argv[2]! })

async function start(): Promise<Worker> {
  const worker = cluster.fork()
  await once(worker, 'message')
  return worker
}

const workers = [await start(), await start()]
process.on('disconnect', () => process.exit())
process.on('message', () => {
  void replace().then((how) => process.send!(how))
})
process.send!('ready')

async function replace(): Promise<unknown> {
  workers.push(await start())
  const old = workers.shift()!
  const ended = once(old.process, 'exit')
  old.process.kill('SIGINT')
  const [code, signal] = await ended
  return code ?? signal
}
