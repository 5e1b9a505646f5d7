import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { broadcaster } from '@broadcaster/server'
import express from 'express'
import { createServer as createViteServer } from 'vite'
import { publishRoute } from './publishRoute.ts'

export type DemoOptions = {
  /** @default 0: any free port */
  port?: number
  /** The URL of Redis, or `false` for no Redis. @default false */
  redis?: string | false
}

export type Demo = {
  /** `http://localhost:PORT` */
  readonly url: string
  /** Drains the clients, then stops. A second call does nothing more. */
  close(drainMs?: number): Promise<void>
}

/** Starts the demo. Page, broadcaster and publish route are in one process, on one port. */
export async function startDemo({ port = 0, redis = false }: DemoOptions = {}): Promise<Demo> {
  const app = express()
  const server = createServer(app)

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

  const vite = await createViteServer({
    configFile: fileURLToPath(new URL('vite.config.ts', import.meta.url)),
    appType: 'spa',
    logLevel: 'warn',
    // Vite's own WebSocket (hot reload) shares the server with ours.
    server: { middlewareMode: true, hmr: { server } },
  })
  app.use(vite.middlewares)

  let closing: Promise<void> | undefined
  const close = async (drainMs: number) => {
    await live.close({ drain: drainMs })
    await vite.close()
    const closed = new Promise((resolve) => server.close(resolve))
    server.closeAllConnections()
    await closed
  }
  const demo = (listening: AddressInfo): Demo => ({
    url: `http://localhost:${listening.port}`,
    close: (drainMs = 0) => (closing ??= close(drainMs)),
  })

  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(port, resolve)
    })
  } catch (error) {
    await close(0)
    throw error
  }
  return demo(server.address() as AddressInfo)
}
