import { once } from 'node:events'
import type { ListenOptions, Server } from 'node:net'
import { Redis } from 'ioredis'

/** What a peer tells the process that started it. */
export type PeerReady = {
  readonly port: number
  /** The process whose tree is the server, where that is not the peer's own process. */
  readonly pid: number
}

export const redisUrl = process.env['REDIS_URL']!

export function connectRedis(): Redis {
  return new Redis(redisUrl)
}

/** An Express application or a server of any kind. */
type Listener = { listen(options: ListenOptions): Server }

/** Listens (on `PORT`, or any free port), then says so. Every peer gets a backlog in which a storm of clients has room. */
export async function listen(listener: Listener): Promise<void> {
  const server = listener.listen({ port: Number(process.env['PORT'] ?? 0), host: '127.0.0.1', backlog: 4096 })
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  ready({ port, pid: process.pid })
}

export function ready(peer: PeerReady): void {
  process.send!(peer)
}

// Ends when it is told to, so that a profile gets written, and also when the bench itself is gone.
process.on('message', (message) => {
  if (message === 'stop') process.exit()
  // Node runs with --expose-gc; what is left after a collection is what is really held.
  if (message === 'heap') {
    globalThis.gc!()
    process.send!({ heapUsed: process.memoryUsage().heapUsed + process.memoryUsage().external })
  }
})
process.on('disconnect', () => process.exit())
