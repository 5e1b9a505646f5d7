import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { broadcaster, type Broadcaster, type BroadcasterOptions } from '@broadcaster/server'
import express, { type Express } from 'express'
import { collectLogs, type Logs } from './logs.ts'
import { publisherTo } from './publisher.ts'
import { roundRobin } from './roundRobin.ts'
import { slowRedis, through } from './slowRedis.ts'
import type { Subject } from './subject.ts'
import { tidy } from './tidy.ts'

export type TestServer = Subject & {
  readonly wsUrl: string
  /** `http://127.0.0.1:PORT`, for other routes of the application. */
  readonly origin: string
  readonly broadcaster: Broadcaster
  readonly app: Express
  readonly httpServer: http.Server
  /** The log of the broadcaster. */
  readonly logs: Logs
  /** If `redis` is a URL: `PUBLISH` from a separate connection. Otherwise: `broadcaster.publish()`. */
  publish(channel: string, body: string): Promise<unknown>
  close(): Promise<void>
}

export type Setup = {
  /** Where the broadcaster is mounted. Default `/broadcast`. */
  readonly path?: string
  /** Middleware and routes that come before it. */
  readonly before?: (app: Express) => void
  /** Whether to wait until the broker is connected. Default `true`. */
  readonly ready?: boolean
  readonly port?: number
}

const LONG_MS = 200_000

/** An Express application with a broadcaster, on a free port. It uses the memory backend unless `redis` is given. */
export async function startServer<C extends object = Record<string, unknown>>(
  options: BroadcasterOptions<C> = {},
  setup: Setup = {},
): Promise<TestServer> {
  const logs = collectLogs()
  const path = setup.path ?? '/broadcast'
  const slow = await slowRedis(options.redis)
  const live = broadcaster({
    redis: false,
    pollTime: 50,
    logger: logs.logger,
    // On a loaded machine a test may take long. Its clients do not time out, and its sessions and messages do not expire.
    timeout: LONG_MS,
    ...options,
    limits: { authTimeout: LONG_MS, ...options.limits },
    recovery: options.recovery !== false && { window: LONG_MS, ...options.recovery },
    ...(slow && { redis: through(slow, options.redis as string) }),
  } as BroadcasterOptions)
  const app = express()
  setup.before?.(app)
  app.use(path, live)
  const httpServer = app.listen(setup.port ?? 0, '127.0.0.1')
  // By default, Node closes an idle connection after 5 seconds. On a loaded machine a client may send a request at that moment.
  httpServer.keepAliveTimeout = 300_000
  await new Promise((resolve, reject) => httpServer.once('listening', resolve).once('error', reject))
  if (setup.ready !== false) await live.ready()

  const origin = `http://127.0.0.1:${(httpServer.address() as AddressInfo).port}`
  const publisher = typeof options.redis === 'string' ? publisherTo(options.redis) : undefined
  return {
    url: origin + path,
    wsUrl: origin.replace('http', 'ws') + path,
    origin,
    broadcaster: live,
    app,
    httpServer,
    logs,
    publish: (channel, body) => (publisher ? publisher.publish(channel, body) : live.publish(channel, body)),
    close: async () => {
      publisher?.close()
      await live.close()
      await closeServer(httpServer)
      await slow?.close()
    },
  }
}

export type TestCluster = Subject & {
  readonly nodes: readonly TestServer[]
  close(): Promise<void>
}

/** Several nodes on one Redis, behind a proxy that sends each request to the next node. */
export async function startNodes<C extends object = Record<string, unknown>>(
  count: number,
  options: BroadcasterOptions<C>,
  setup?: Setup,
): Promise<TestCluster> {
  const nodes: TestServer[] = []
  while (nodes.length < count) nodes.push(await startServer(options, setup))
  const proxy = await roundRobin(nodes.map(({ origin }) => origin))
  return {
    url: proxy.origin + new URL(nodes[0]!.url).pathname,
    nodes,
    publish: (channel, body) => nodes[0]!.publish(channel, body),
    close: async () => {
      await proxy.close()
      await Promise.all(nodes.map((node) => node.close()))
    },
  }
}

/** Makes a server of the test listen on a free port until the end of the test. Returns its origin. */
export async function listen(server: http.Server, ...broadcasters: readonly Broadcaster[]): Promise<string> {
  if (!server.listening) {
    server.listen(0, '127.0.0.1')
    await new Promise((resolve, reject) => server.once('listening', resolve).once('error', reject))
  }
  tidy({
    close: async () => {
      for (const live of broadcasters) await live.close()
      await closeServer(server)
    },
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** Closes a server without waiting for idle keep-alive connections. */
export function closeServer(server: http.Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}
