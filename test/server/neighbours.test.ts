import { once } from 'node:events'
import http from 'node:http'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { broadcaster, type Broadcaster } from '@broadcaster/server'
import express, { type Express } from 'express'
import expressWs from 'express-ws'
import { Server as SocketIoServer } from 'socket.io'
import { io } from 'socket.io-client'
import { createServer as createViteServer, type ViteDevServer } from 'vite'
import { describe, expect, it } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import { h2c, handshake, RawSocket, request } from '../support/rawSocket.ts'
import { listen } from '../support/server.ts'
import type { Subject } from '../support/subject.ts'
import { tidy } from '../support/tidy.ts'
import { watchUncaught } from '../support/uncaught.ts'
import { until, within } from '../support/waiting.ts'
import { works } from '../support/works.ts'

type Neighbour = (server: http.Server, app: Express) => Promise<void> | void

/** A server with a broadcaster and another listener, which is added before or after it. */
async function serve(neighbour: Neighbour, { order = 'before', inRouter = false }: Arrangement = {}) {
  const app = express()
  const server = http.createServer(app)
  const live = broadcaster({ redis: false, pollTime: 20 })
  if (order === 'before') await neighbour(server, app)
  // In a Router, the broadcaster does not know its path.
  if (inRouter) app.use(express.Router().use('/broadcast', live))
  else app.use('/broadcast', live)
  live.attach(server)
  if (order === 'after') await neighbour(server, app)
  const origin = await listen(server, live)
  return { origin, server, works: () => works(subject(live, `${origin}/broadcast`)) }
}

type Arrangement = { order?: 'before' | 'after'; inRouter?: boolean }

const arrangements: [string, Arrangement][] = [
  ['before us', { order: 'before' }],
  ['after us', { order: 'after' }],
  ['before us, in a Router', { order: 'before', inRouter: true }],
  ['after us, in a Router', { order: 'after', inRouter: true }],
]

const subject = (live: Broadcaster, url: string): Subject => ({
  url,
  publish: (channel, body) => live.publish(channel, body),
})

/** Sends a text to the other WebSocket server, which answers with `theirs: ` and the same text. */
async function echo(origin: string, path = '/theirs'): Promise<string> {
  const socket = new WebSocket(origin.replace('http', 'ws') + path)
  try {
    const heard = new Promise<string>((resolve, reject) => {
      socket.on('message', (data) => resolve(String(data))).on('error', reject)
    })
    socket.on('open', () => socket.send('hello'))
    return await within(heard, 'their answer')
  } finally {
    socket.terminate()
  }
}

function answerEchoes(client: WebSocket): void {
  client.on('message', (data) => client.send(`theirs: ${String(data)}`))
}

/** Uses express-ws, whose types are those of another version of Express and of `ws`. */
function withExpressWs(app: Express, opened: (client: WebSocket) => void, server?: http.Server): void {
  const theirs = expressWs(app as unknown as expressWs.Application, server).app
  theirs.ws('/theirs', (ws) => opened(ws as unknown as WebSocket))
}

/** Other WebSocket servers, as in their documentation. Each calls `opened` for every socket that it opens. */
const webSocketServers: [string, (opened: (client: WebSocket) => void) => Neighbour][] = [
  [
    'ws with { server }',
    (opened) => (server) => void new WebSocketServer({ server }).on('connection', opened),
  ],
  [
    'ws with { server, path }',
    (opened) => (server) => void new WebSocketServer({ server, path: '/theirs' }).on('connection', opened),
  ],
  [
    'ws with noServer, which destroys what it does not know',
    (opened) => (server) => {
      const theirs = new WebSocketServer({ noServer: true })
      server.on('upgrade', (request, socket, head) => {
        if (request.url === '/theirs') theirs.handleUpgrade(request, socket, head, opened)
        else socket.destroy()
      })
    },
  ],
  ['express-ws on the same application', (opened) => (server, app) => withExpressWs(app, opened, server)],
]

describe('on the same HTTP server', () => {
  describe.each(webSocketServers)('%s', (_, neighbour) => {
    it.each(arrangements)('%s, gets its own upgrades and none of ours', async (_, arrangement) => {
      const uncaught = watchUncaught()
      let opened = 0
      const theirs = neighbour((client) => {
        opened++
        answerEchoes(client)
      })
      const { origin, works } = await serve(theirs, arrangement)
      await works()
      expect(opened).toBe(0)
      expect(await echo(origin)).toBe('theirs: hello')
      await works()
      expect(await echo(origin)).toBe('theirs: hello')
      expect(opened).toBe(2)
      expect(uncaught).toEqual([])
    })
  })

  it.each(['before', 'after'] as const)('express-ws and app.listen work, %s us', async (order) => {
    const app = express()
    const live = broadcaster({ redis: false, pollTime: 20 })
    const theirs = () => withExpressWs(app, answerEchoes)
    if (order === 'before') theirs()
    app.use('/broadcast', live)
    if (order === 'after') theirs()
    const server = app.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const origin = await listen(server, live)
    await works(subject(live, `${origin}/broadcast`))
    expect(await echo(origin)).toBe('theirs: hello')
    await works(subject(live, `${origin}/broadcast`))
  })

  it('several broadcasters and another listener each get their own upgrades', async () => {
    const app = express()
    const server = http.createServer(app)
    const [news, chat, inRouter] = [1, 2, 3].map(() => broadcaster({ redis: false, pollTime: 20 }))
    news!.attach(server)
    new WebSocketServer({ server }).on('connection', answerEchoes)
    app.use('/news', news!)
    app.use('/chat', chat!)
    app.use(express.Router().use('/api/live', inRouter!))
    chat!.attach(server)
    inRouter!.attach(server)
    const origin = await listen(server, news!, chat!, inRouter!)
    await works(subject(news!, `${origin}/news`))
    await works(subject(chat!, `${origin}/chat`))
    await works(subject(inRouter!, `${origin}/api/live`))
    expect(await echo(origin)).toBe('theirs: hello')
    expect(await echo(origin, '/news/theirs'), 'below a mount is theirs').toBe('theirs: hello')
  })

  it.each(arrangements)(
    'a listener that is added %s gets each other upgrade once and unchanged',
    async (_, arrangement) => {
      const seen: string[] = []
      const { origin, works } = await serve((server) => {
        server.on('upgrade', (req, socket, head) => {
          seen.push(`${req.method} ${req.url} ${req.headers.upgrade} ${String(head)}`)
          socket.end('HTTP/1.1 400 Theirs\r\n\r\n')
        })
      }, arrangement)
      await works()
      for (const text of [
        handshake('/theirs?a=1'),
        // Ours is `/broadcast`.
        handshake('/broadcasting'),
        handshake('/api/theirs'),
        request('GET /broadcast', h2c),
        request('POST /theirs', { ...h2c, Upgrade: 'custom' }),
      ]) {
        const raw = await RawSocket.open({ url: origin })
        raw.write(text, 'head')
        expect(await raw.readsTo('\r\n\r\n')).toBe('HTTP/1.1 400 Theirs\r\n\r\n')
      }
      expect(seen).toEqual([
        'GET /theirs?a=1 websocket head',
        'GET /broadcasting websocket head',
        'GET /api/theirs websocket head',
        'GET /broadcast h2c head',
        'POST /theirs custom head',
      ])
    },
  )

  it.each(arrangements)(
    'a socket that a listener added %s never handles can be reset',
    async (_, arrangement) => {
      const uncaught = watchUncaught()
      const unhandled: Duplex[] = []
      const { origin, works } = await serve((server) => {
        server.on('upgrade', (_req, socket) => void unhandled.push(socket))
      }, arrangement)
      for (const text of [handshake('/nowhere'), request('GET /nowhere', h2c)]) {
        const raw = await RawSocket.open({ url: origin })
        raw.write(text)
        const socket = await until('the socket', () => unhandled.pop())
        raw.reset()
        await until('it to be gone', () => socket!.destroyed)
      }
      expect(uncaught).toEqual([])
      await works()
    },
  )

  it('the answer of middleware is dropped if the path is unknown and another listener takes the upgrade', async () => {
    const { origin } = await serve(
      (server, app) => {
        new WebSocketServer({ server, path: '/theirs' }).on('connection', answerEchoes)
        app.use('/theirs', (_req, res) => void res.sendStatus(401))
      },
      { inRouter: true },
    )
    expect(await echo(origin)).toBe('theirs: hello')
  })

  it('middleware that does not answer an unknown path does not keep the upgrade from another listener', async () => {
    const uncaught = watchUncaught()
    const { origin, works } = await serve(
      (server, app) => {
        new WebSocketServer({ server, path: '/theirs' }).on('connection', answerEchoes)
        // A proxy does this when its target has upgraded.
        app.use('/theirs', () => {})
      },
      { inRouter: true },
    )
    expect(await echo(origin)).toBe('theirs: hello')
    await works()
    expect(uncaught).toEqual([])
  })

  it.each(arrangements)('Socket.IO %s does not end a slow handshake of ours', async (_, arrangement) => {
    const { works } = await serve((server, app) => {
      tidy(new SocketIoServer(server, { destroyUpgradeTimeout: 1 }))
      app.use('/broadcast', (_req, _res, next) => void setTimeout(next, 50))
    }, arrangement)
    await works()
  })

  describe.each(arrangements)('%s', (_, arrangement) => {
    it.each(['websocket', 'polling'] as const)('Socket.IO works over %s', async (transport) => {
      const { origin, works } = await serve((server) => {
        const theirs = tidy(new SocketIoServer(server))
        theirs.on('connection', (socket) => socket.on('echo', (text, reply) => reply(`theirs: ${text}`)))
      }, arrangement)
      await works()
      const client = io(origin, { transports: [transport], reconnection: false })
      tidy({ close: () => client.disconnect() })
      expect(await client.timeout(15_000).emitWithAck('echo', 'hello')).toBe('theirs: hello')
      await works()
      expect(await client.timeout(15_000).emitWithAck('echo', 'again')).toBe('theirs: again')
    })
  })

  it.each(arrangements)('the hot module replacement of Vite works %s', async (_, arrangement) => {
    const root = await mkdtemp(join(tmpdir(), 'broadcaster-vite-'))
    tidy({ close: () => rm(root, { recursive: true, force: true }) })
    await writeFile(join(root, 'index.html'), '<script type="module" src="/main.js"></script>')
    await writeFile(join(root, 'main.js'), 'import.meta.hot.accept(); console.log(1)')
    let vite: ViteDevServer | undefined
    const { origin, works } = await serve(async (server, app) => {
      vite = await createViteServer({
        root,
        configFile: false,
        logLevel: 'silent',
        server: { middlewareMode: true, hmr: { server }, watch: null },
        appType: 'spa',
      })
      tidy(vite)
      // Vite answers every request, so it has to be the last middleware, as usual.
      server.on('listening', () => app.use(vite!.middlewares))
    }, arrangement)
    await works()
    const client = await (await fetch(`${origin}/@vite/client`)).text()
    const token = /wsToken = "([^"]+)"/.exec(client)?.[1] ?? ''
    const socket = new WebSocket(`${origin.replace('http', 'ws')}/?token=${token}`, 'vite-hmr')
    tidy({ close: () => socket.terminate() })
    const heard: { type: string }[] = []
    socket.on('message', (data) => heard.push(JSON.parse(String(data)) as { type: string }))
    await within(new Promise((resolve) => socket.on('message', resolve)), "Vite's greeting")
    expect(heard[0]).toEqual({ type: 'connected' })
    const reload = new Promise((resolve) => socket.on('message', resolve))
    vite!.ws.send({ type: 'full-reload' })
    await within(reload, 'a reload')
    expect(heard[1]).toEqual({ type: 'full-reload' })
    await works()
  })
})
