import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import express from 'express'
import { rateRoute } from '../api/rate.ts'
import { redisBroker } from '../simulator/broker.ts'
import { Simulator } from '../simulator/simulator.ts'
import { controlRoute, type Node } from './control.ts'
import { freePort, hasRedisServer, nodeProcess, redisProcess, type Log } from './processes.ts'
import { proxyTo } from './proxy.ts'

export type ClusterOptions = {
  /** `server.mjs`, which `npm run build -w demo` makes, beside the page. */
  program: string
  /** @default 0: any free port */
  port?: number
  /** @default 127.0.0.1, because whoever opens the page may kill the nodes */
  host?: string
  /** @default 30 000 */
  tokenLifeMs?: number
  /** @default 'ignore' */
  log?: Log
}

export type Cluster = {
  /** `http://localhost:PORT` */
  readonly url: string
  readonly redisUrl: string
  close(): Promise<void>
}

const NODES = 2
/** Enough to move all clients, and to copy the logs. */
const DRAIN_MS = 2_000

/**
 * Starts nodes and a Redis as child processes, and a proxy in this process. The simulator is here too, so it goes on when a node is
 * killed.
 */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const { program, port = 0, host = '127.0.0.1', tokenLifeMs = 30_000, log = 'ignore' } = options
  if (!hasRedisServer()) {
    throw new Error(
      'There is no redis-server. Install it (Debian, Ubuntu: apt install redis-server, macOS: brew install redis, Fedora: dnf install valkey-compat-redis), or run the demo without it: npm run demo',
    )
  }
  const redisPort = await freePort()
  const redisUrl = `redis://127.0.0.1:${redisPort}`
  const redis = redisProcess(redisPort)
  const shared = {
    REDIS_URL: redisUrl,
    HOST: '127.0.0.1',
    TOKEN_SECRET: randomUUID(),
    TOKEN_LIFE_MS: String(tokenLifeMs),
    DRAIN_MS: String(DRAIN_MS),
    IN_CLUSTER: '1',
  }
  const nodes: Node[] = []
  for (let i = 0; i < NODES; i++) {
    const nodePort = await freePort()
    nodes.push({ port: nodePort, process: nodeProcess(program, { ...shared, PORT: String(nodePort) }, log) })
  }

  let turn = 0
  const nextPort = () => {
    const running = nodes.filter(({ process }) => process.isRunning)
    return running[turn++ % running.length]?.port
  }
  const proxy = proxyTo(nextPort)
  const simulator = new Simulator(redisBroker(redisUrl))
  const app = express()
  app.use('/api/cluster', controlRoute(nodes, redis))
  app.use('/api/rate', rateRoute(simulator))
  app.use(proxy.onRequest)
  const server = createServer(app)
  server.on('upgrade', proxy.onUpgrade)
  const sockets = new Set<Socket>()
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })

  const close = async () => {
    simulator.stop()
    server.close()
    for (const socket of sockets) socket.destroy()
    await Promise.all([...nodes.map(({ process }) => process.end('SIGKILL')), redis.end('SIGKILL')])
  }
  try {
    await redis.start()
    await Promise.all(nodes.map(({ process }) => process.start()))
    server.listen(port, host)
    await once(server, 'listening')
  } catch (error) {
    await close()
    throw error
  }
  simulator.start()
  return { url: `http://localhost:${(server.address() as AddressInfo).port}`, redisUrl, close }
}
