import { randomUUID } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { accept, broadcaster } from '@broadcaster/server'
import compression from 'compression'
import express from 'express'
import type { ViteDevServer } from 'vite'
import { notesRoute } from './api/notes.ts'
import { publishRoute } from './api/publish.ts'
import { rateRoute } from './api/rate.ts'
import { signInRoute } from './api/signIn.ts'
import { channels } from './channels.ts'
import { ownBroker, redisBroker } from './simulator/broker.ts'
import { Simulator } from './simulator/simulator.ts'
import { tokensOf, type User } from './tokens.ts'

export type DemoOptions = {
  /** @default 0: any free port */
  port?: number
  /** The address to listen on. @default every address of this machine */
  host?: string | undefined
  /** The URL of Redis, or `false` for no Redis. @default false */
  redis?: string | false
  /** The directory of the built page. The default is the sources of the page, served by Vite with hot reload. */
  page?: string
  /** Signs the tokens. All nodes need the same. @default a random one */
  tokenSecret?: string | undefined
  /** How long a token is valid. @default 30 000 */
  tokenLifeMs?: number
  /** Whether this is a node of `npm run demo:cluster`, which simulates the prices itself. @default false */
  inCluster?: boolean
}

export type Demo = {
  /** `http://localhost:PORT` */
  readonly url: string
  /** Resolves when messages are received. Rejects if Redis refuses the connection. */
  ready(): Promise<void>
  /** Drains the clients, then stops. A second call does nothing more. */
  close(drainMs?: number): Promise<void>
}

/** Starts the demo. Page, broadcaster, simulator and API are in one process, on one port. */
export async function startDemo({
  port = 0,
  host,
  redis = false,
  page,
  tokenSecret = randomUUID(),
  tokenLifeMs = 30_000,
  inCluster = false,
}: DemoOptions = {}): Promise<Demo> {
  const app = express()
  // A proxy on this machine or in its network tells the addresses of the clients.
  app.set('trust proxy', ['loopback', 'linklocal', 'uniquelocal'])
  const server = createServer(app)
  // A proxy must be the first to close an idle connection. Many do it after 60 s. The default of Node is 5 s.
  server.keepAliveTimeout = 75_000
  const tokens = tokensOf(tokenSecret, tokenLifeMs)

  const live = broadcaster({
    redis,
    channels,
    // Enough for half a minute at the highest rate. With two copies, a node that is killed takes nothing with it.
    recovery: { window: 30_000, maxMessages: 50_000, maxBytes: 16 * 2 ** 20, copies: 2 },
    // A client without a token is a guest.
    canConnect: async ({ token }) => {
      if (token === undefined) return { name: 'guest', role: 'guest' }
      // Anybody may send a token that is not ours, so this is no error of the server.
      const known = await tokens.verify(String(token)).catch(() => null)
      return known !== null && accept<User>(known.user, { expiresAt: known.expiresAt })
    },
    canSubscribe: (_auth, channel, { role }) => channel !== 'desk' || role === 'trader',
  })
  app.use('/broadcast', live)
  // With `app.listen()` this call would not be needed, but Vite needs the server before it listens.
  live.attach(server)

  const redisPort = redis && inCluster ? Number(new URL(redis).port) : undefined
  const info = { backend: redis ? 'redis' : 'memory', inCluster, redisPort }
  app.get('/api/info', (_request, response) => void response.json(info))
  app.get('/api/uncopied', (_request, response) => {
    live.stats().then(
      ({ node }) => response.json({ channels: node.uncopiedChannels }),
      () => response.sendStatus(503),
    )
  })
  app.use('/api/sign-in', signInRoute(tokens))
  app.use(
    '/api/notes',
    notesRoute(tokens, (note) => live.publish('notes', note)),
  )
  app.use(
    '/api/publish',
    publishRoute((channel, body) => live.publish(channel, body)),
  )
  const simulator = inCluster ? null : new Simulator(redis ? redisBroker(redis) : ownBroker(live.publish))
  if (simulator !== null) app.use('/api/rate', rateRoute(simulator))

  const vite = page === undefined ? await startVite(server) : null
  if (vite !== null) app.use(vite.middlewares)
  else if (page !== undefined) app.use(compression(), express.static(page))

  let closing: Promise<void> | undefined
  const close = async (drainMs: number) => {
    simulator?.stop()
    // First of all, new connections go to other nodes: at once behind `node:cluster` and PM2, which share the port.
    const closed = new Promise((resolve) => server.close(resolve))
    await live.close({ drain: drainMs })
    await vite?.close()
    server.closeAllConnections()
    await closed
  }
  const demo = (listening: AddressInfo): Demo => ({
    url: `http://localhost:${listening.port}`,
    ready: () => live.ready(),
    close: (drainMs = 0) => (closing ??= close(drainMs)),
  })

  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen({ port, host }, resolve)
    })
  } catch (error) {
    await close(0)
    throw error
  }
  simulator?.start()
  return demo(server.address() as AddressInfo)
}

async function startVite(server: Server): Promise<ViteDevServer> {
  const { createServer } = await import('vite')
  return createServer({
    configFile: fileURLToPath(new URL('vite.config.ts', import.meta.url)),
    appType: 'spa',
    logLevel: 'warn',
    // Vite's own WebSocket (hot reload) shares the server with ours.
    server: { middlewareMode: true, hmr: { server } },
  })
}
