import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { broadcaster } from '@broadcaster/server'
import express from 'express'
import type { ViteDevServer } from 'vite'
import { publishRoute } from './publishRoute.ts'

export type DemoOptions = {
  /** @default 0: any free port */
  port?: number
  /** The address to listen on. @default every address of this machine */
  host?: string | undefined
  /** The URL of Redis, or `false` for no Redis. @default false */
  redis?: string | false
  /** The directory of the built page. The default is the sources of the page, served by Vite with hot reload. */
  page?: string
}

export type Demo = {
  /** `http://localhost:PORT` */
  readonly url: string
  /** Resolves when messages are received. Rejects if Redis refuses the connection. */
  ready(): Promise<void>
  /** Drains the clients, then stops. A second call does nothing more. */
  close(drainMs?: number): Promise<void>
}

/** Starts the demo. Page, broadcaster and publish route are in one process, on one port. */
export async function startDemo({ port = 0, host, redis = false, page }: DemoOptions = {}): Promise<Demo> {
  const app = express()
  // A proxy on this machine or in its network tells the addresses of the clients.
  app.set('trust proxy', ['loopback', 'linklocal', 'uniquelocal'])
  const server = createServer(app)
  // A proxy must be the first to close an idle connection. Many do it after 60 s. The default of Node is 5 s.
  server.keepAliveTimeout = 75_000

  const live = broadcaster({
    redis,
    // The token "bad" is refused, every other token is accepted. The channel "secret" is refused for everybody.
    canConnect: (auth) => auth['token'] !== 'bad',
    canSubscribe: (_auth, channel) => channel !== 'secret',
  })
  app.use('/broadcast', live)
  // With `app.listen()` this call would not be needed, but Vite needs the server before it listens.
  live.attach(server)

  app.get('/api/info', (_request, response) => void response.json({ backend: redis ? 'redis' : 'memory' }))
  app.use(
    '/api/publish',
    publishRoute((channel, body) => live.publish(channel, body)),
  )

  const vite = page === undefined ? await startVite(server) : null
  if (vite !== null) app.use(vite.middlewares)
  else if (page !== undefined) app.use(express.static(page))

  let closing: Promise<void> | undefined
  const close = async (drainMs: number) => {
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
