import { once } from 'node:events'
import type { ListenOptions, Server } from 'node:net'
import { Redis } from 'ioredis'

/** What a peer sends to the process that started it. */
export type PeerReady = {
  readonly port: number
  /** The root process of the server. It is the peer's own process, or for nchan that of nginx. */
  readonly pid: number
}

export const redisUrl = process.env['REDIS_URL']!

export function connectRedis(): Redis {
  return new Redis(redisUrl)
}

/** An Express application or a server of any kind. */
type Listener = { listen(options: ListenOptions): Server }

/**
 * Listens on `PORT`, or on any free port, then reports it. Every peer has the same backlog, with room for many clients that
 * connect at once.
 */
export async function listen(listener: Listener): Promise<void> {
  const server = listener.listen({ port: Number(process.env['PORT'] ?? 0), host: '127.0.0.1', backlog: 4096 })
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  ready({ port, pid: process.pid })
}

export function ready(peer: PeerReady): void {
  process.send!(peer)
}

// Exits when the bench asks for it, so that a profile is written, and also when the bench has ended.
process.on('message', (message) => {
  if (message === 'stop') process.exit()
  // Node runs with --expose-gc. What remains after a collection is in use.
  if (message === 'heap') {
    globalThis.gc!()
    process.send!({ heapUsed: process.memoryUsage().heapUsed + process.memoryUsage().external })
  }
})
process.on('disconnect', () => process.exit())
