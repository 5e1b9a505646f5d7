import http from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { broadcaster, type Broadcaster, type BroadcasterOptions } from '@broadcaster/server'
import express, { type ErrorRequestHandler, type Express, type RequestHandler } from 'express'
import session, { MemoryStore } from 'express-session'
import { NEVER_MS, canConnect, canSubscribe } from './callbacks.ts'
import { neighbours, type Neighbour, type NeighbourName } from './neighbours.ts'
import { Noticed } from './noticed.ts'

export type ApplicationSetup = {
  readonly redis: string
  /** The neighbours, each on its own server. */
  readonly neighbours: readonly NeighbourName[]
}

export type BroadcasterName = 'live' | 'memory' | 'routed' | 'small'

export type Application = {
  readonly ports: readonly number[]
  readonly broadcasters: Readonly<Record<BroadcasterName, Broadcaster>>
  readonly noticed: Noticed
  /** The open connections that are not of a healthy client. */
  strangers(): Stranger[]
  /** Clears the session store of the application, so that it does not count as memory of the kit. */
  forgetSessions(): void
}

/** A connection: the port of the client, and its last request. */
export type Stranger = { readonly port: number; readonly asked: string }

/** Healthy clients send this header with every request, so that their connections can be told from those of attackers. */
export const HEALTHY_HEADER = 'x-healthy'

const SLOW_MS = 60
const LATE_MS = 200
const LARGE = 'large '.repeat(50_000)

/** Starts an application with several broadcasters, sessions, parsers, slow middleware, and neighbours. */
export async function startApplication({ redis, neighbours: names }: ApplicationSetup): Promise<Application> {
  const noticed = new Noticed()
  const broadcasters = makeBroadcasters(redis, noticed)
  const sessions = new MemoryStore()
  const sockets = new Map<Socket, Stranger & { isHealthy: boolean; asked: string }>()

  const app = express()
  app.use((req, _res, next) => {
    const known = sockets.get(req.socket)
    if (known !== undefined) {
      known.isHealthy ||= req.headers[HEALTHY_HEADER] !== undefined
      known.asked = `${req.method} ${req.url.slice(0, 100)}`
    }
    next()
  })
  app.use(session({ secret: 'soak', resave: false, saveUninitialized: false, store: sessions }))
  const servers = names.map((name) => {
    const server = http.createServer({ connectionsCheckingInterval: 500 }, app)
    // Requests time out early. `maxHeadersCount` is less than some attackers send, because `ws` once crashed on dropped headers.
    Object.assign(server, {
      headersTimeout: 3000,
      requestTimeout: 5000,
      keepAliveTimeout: 1000,
      maxHeadersCount: 100,
    })
    server.on('connection', (socket: Socket) => {
      sockets.set(socket, { isHealthy: false, port: socket.remotePort ?? 0, asked: 'nothing' })
      socket.on('close', () => sockets.delete(socket))
    })
    return { name, server, neighbour: neighbours[name] as Neighbour }
  })
  for (const { server, neighbour } of servers) neighbour.before?.(server, app)
  addRoutes(app)
  mount(app, broadcasters)
  const { routed, ...known } = broadcasters
  for (const { server, name } of servers) {
    for (const each of Object.values(known)) each.attach(server)
    // On the server without `routed`, the paths of all broadcasters are known, and upgrades of other paths belong to no one.
    if (name !== 'none') routed.attach(server)
  }
  for (const { server, neighbour } of servers) neighbour.after?.(server, app)
  app.use(errorHandler(noticed))
  for (const { server } of servers) {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  }
  await Promise.all(Object.values(broadcasters).map((each) => each.ready()))

  return {
    ports: servers.map(({ server }) => (server.address() as AddressInfo).port),
    broadcasters,
    noticed,
    strangers: () =>
      [...sockets.values()].filter(({ isHealthy }) => !isHealthy).map(({ port, asked }) => ({ port, asked })),
    forgetSessions: () => sessions.clear(),
  }
}

function makeBroadcasters(redis: string, { logger }: Noticed): Record<BroadcasterName, Broadcaster> {
  const common: BroadcasterOptions = {
    canConnect,
    canSubscribe,
    logger,
    // A test can wait for the end of a poll, and a busy machine does not pause for so long.
    timeout: 8000,
    pollTime: 50,
    recovery: { window: 10_000 },
    limits: {
      messageBytes: 64 * 1024,
      authBytes: 4096,
      authTimeout: 1500,
      channelsPerConnection: 50,
      bufferedBytes: 64 * 1024,
      // Attackers and healthy clients come from one address.
      connectionsPerAddress: Infinity,
    },
  }
  return {
    live: broadcaster({ ...common, redis, webSocket: { perMessageDeflate: { threshold: 256 } } }),
    memory: broadcaster({ ...common, redis: false, checkOrigin: ['http://friend.example'] }),
    routed: broadcaster({
      ...common,
      redis,
      controlChannel: 'routed',
      controlNamespace: 'routed:',
      pollTime: 0,
    }),
    small: broadcaster({
      ...common,
      redis: false,
      timeout: 1500,
      recovery: false,
      limits: {
        messageBytes: 512,
        authBytes: 64,
        channelBytes: 16,
        channelsPerConnection: 2,
        connections: 6,
        authTimeout: 300,
        bufferedBytes: 1024,
        connectionsPerAddress: Infinity,
      },
    }),
  }
}

/** Adds the routes of the application other than the broadcasters. */
function addRoutes(app: Express): void {
  app.use('/utf8', (req, _res, next) => {
    req.setEncoding('utf8')
    next()
  })
  app.use('/slow', (_req, _res, next) => void setTimeout(next, SLOW_MS))
  app.use('/json', express.json({ strict: false }), express.urlencoded({ extended: true }))
  app.use('/text', express.text({ type: () => true }))
  app.use('/wrapped', lateEnd)
  app.get('/hello', (_req, res) => void res.send('hello'))
  app.get('/never', (_req, res) => void setTimeout(() => res.send('at last'), NEVER_MS))
  app.get('/late', (_req, res) => void setTimeout(() => res.send('late'), LATE_MS))
  app.get('/large', (_req, res) => void res.send(LARGE))
  app.get('/throws', () => {
    throw Object.assign(new Error('An intended error of the application'), { status: 418 })
  })
  app.get('/login', (req, res) => {
    Object.assign(req.session, { user: 'mallory' })
    res.send('welcome')
  })
  app.post(
    '/upload',
    express.raw({ type: () => true, limit: 10_000 }),
    (_req, res) => void res.send('thanks'),
  )
}

function mount(app: Express, { live, memory, routed, small }: Application['broadcasters']): void {
  app.use('/live', live)
  app.use(
    ['/memory', '/utf8/memory', '/slow/memory', '/json/memory', '/text/memory', '/wrapped/memory'],
    memory,
  )
  const router = express.Router()
  router.use('/deep', routed)
  app.use('/router/:room', router)
  app.use('/small', small)
}

/** Like the compression middleware, this replaces methods of the response and ends it later. */
const lateEnd: RequestHandler = (_req, res, next) => {
  const { end, writeHead } = res
  res.writeHead = ((...args: unknown[]) => {
    res.setHeader('X-Wrapped', '1')
    return Reflect.apply(writeHead, res, args) as typeof res
  }) as typeof res.writeHead
  res.end = ((...args: unknown[]) => {
    setImmediate(() => Reflect.apply(end, res, args))
    return res
  }) as typeof res.end
  next()
}

/** The last error handler. An error that arrives here and is not the client's is a fault of the server. */
function errorHandler(noticed: Noticed): ErrorRequestHandler {
  return (error: { status?: number; type?: string }, req, res, next) => {
    const { status = 500, type = '' } = error
    // The body parsers cause such an error if middleware has already begun to read the body.
    if (status >= 500 && !type.startsWith('stream.')) noticed.fault(`${req.method} ${req.url} failed`, error)
    if (res.headersSent) next(error)
    else res.status(status).end()
  }
}
