import type { Express, Response } from 'express'
import express from 'express'
import { describe, expect, it } from 'vitest'
import { signIn } from '../support/connect.ts'
import { LongPollPeer } from '../support/longPollPeer.ts'
import { channelName } from '../support/names.ts'
import { h2c, handshake, RawSocket, request } from '../support/rawSocket.ts'
import { startServer, type Setup, type TestServer } from '../support/server.ts'
import { tidy } from '../support/tidy.ts'
import { watchUncaught } from '../support/uncaught.ts'
import { until } from '../support/waiting.ts'
import { refusedHandshake } from '../support/webSocketPeer.ts'
import { works } from '../support/works.ts'

const connections = (server: TestServer) =>
  new Promise<number>((resolve, reject) =>
    server.httpServer.getConnections((error, count) => (error ? reject(error) : resolve(count))),
  )

/** A route whose requests wait until the test answers them. */
function waitingRoute(app: Express, path: string): Response[] {
  const waiting: Response[] = []
  app.get(path, (_req, res) => void waiting.push(res))
  return waiting
}

describe('an upgrade after a request that has no answer yet', () => {
  async function start() {
    const uncaught = watchUncaught()
    let waiting: Response[] = []
    const server = tidy(
      await startServer({}, { before: (app) => void (waiting = waitingRoute(app, '/slow')) }),
    )
    const raw = await RawSocket.open(server)
    const inFlight = (count: number) => until('the request to be waiting', () => waiting.length === count)
    return { uncaught, waiting, server, raw, inFlight }
  }

  it('continues when the poll before it is answered', async () => {
    const { uncaught, server, raw } = await start()
    const channel = channelName()
    const alice = new LongPollPeer(server)
    await alice.auth()
    await alice.subscribe(channel)
    const poll = JSON.stringify({ __type: 'poll', seq: '0', __token: alice.token })
    raw.write(request('POST /broadcast', {}, poll), handshake('/broadcast'))
    // The server may get the poll after a message, so this publishes until the poll is answered.
    await until('the poll', async () => {
      await server.publish(channel, 'hello')
      return raw.socket.bytesRead > 0
    })
    const answer = await raw.readsTo('}]')
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\n\[\{.*"hello".*\}\]$/)
    expect(await raw.status()).toBe(101)
    expect(uncaught).toEqual([])
    await works(server)
  })

  it('continues when all requests before it are answered, and the answers are in order', async () => {
    const { uncaught, waiting, server, raw, inFlight } = await start()
    raw.write(request('GET /slow'), request('GET /slow'), handshake('/broadcast'))
    await inFlight(2)
    waiting[1]!.send('second')
    waiting[0]!.send('first')
    expect(await raw.readsTo('first')).toMatch(/^HTTP\/1\.1 200/)
    expect(await raw.readsTo('second')).toMatch(/^HTTP\/1\.1 200/)
    expect(await raw.status()).toBe(101)
    expect(uncaught).toEqual([])
    await works(server)
  })

  it('continues when a large answer before it, which had to wait for a drain, is complete', async () => {
    const { waiting, server, raw, inFlight } = await start()
    raw.socket.pause()
    raw.write(request('GET /slow'), handshake('/broadcast'))
    await inFlight(1)
    const piece = 'x'.repeat(1_000_000)
    let left = 8
    // Like `pipe`, this waits for `drain` when the buffer is full.
    const write = () => {
      while (left > 0) {
        left--
        if (!waiting[0]!.write(piece)) return void waiting[0]!.once('drain', write)
      }
      waiting[0]!.end('the end')
    }
    write()
    expect(left, 'the answer waits').toBeGreaterThan(0)
    raw.socket.resume()
    expect((await raw.readsTo('the end')).length).toBeGreaterThan(8_000_000)
    await raw.readsTo('\r\n0\r\n\r\n')
    expect(await raw.status()).toBe(101)
    await works(server)
  })

  it('is dropped when the answer before it ends the connection', async () => {
    const { uncaught, waiting, server, raw, inFlight } = await start()
    raw.write(request('GET /slow'), handshake('/broadcast'))
    await inFlight(1)
    waiting[0]!.set('Connection', 'close').send('first')
    expect(await raw.readsTo('first')).toMatch(/^HTTP\/1\.1 200/)
    await raw.ended()
    expect(uncaught).toEqual([])
    await works(server)
  })

  it('is dropped when the client resets the connection', async () => {
    const { uncaught, waiting, server, raw, inFlight } = await start()
    raw.write(request('GET /slow'), handshake('/broadcast'))
    await inFlight(1)
    const closed = new Promise<void>((resolve) => waiting[0]!.on('close', () => resolve()))
    raw.reset()
    await closed
    await until('nothing to be left', async () => (await connections(server)) === 0)
    expect(uncaught).toEqual([])
    await works(server)
  })

  it.each([
    ['of an unknown path', handshake('/nowhere'), 404],
    ['to HTTP/2', request('GET /broadcast/health', h2c), 200],
  ])('%s is answered after the request', async (_, upgrade, status) => {
    const { uncaught, waiting, server, raw, inFlight } = await start()
    raw.write(request('GET /slow'), upgrade)
    await inFlight(1)
    waiting[0]!.send('first')
    expect(await raw.readsTo('first')).toMatch(/^HTTP\/1\.1 200/)
    expect(await raw.status()).toBe(status)
    expect(uncaught).toEqual([])
    await works(server)
  })
})

describe('an upgrade that no WebSocket server accepts', () => {
  const start = async (setup?: Setup) => tidy(await startServer({}, setup))

  it('gets the answer of the application', async () => {
    const server = await start({
      before: (app) => app.get('/page', (req, res) => void res.send(`a page, with ${req.headers.upgrade}`)),
    })
    const { status, body } = await refusedHandshake({ ...server, url: `${server.origin}/nowhere` })
    expect(status).toBe(404)
    expect(body).toContain('Cannot GET /nowhere')
    const page = await refusedHandshake({ ...server, url: `${server.origin}/page` })
    expect(page).toMatchObject({ status: 200, body: 'a page, with websocket' })
  })

  it('to HTTP/2, as curl and Java send it, is an ordinary request, which may have a body and be followed by others', async () => {
    const server = await start({
      before: (app) => app.post('/echo', express.text(), (req, res) => void res.send(`<${req.body}>`)),
    })
    const raw = await RawSocket.open(server)
    const body = 'x'.repeat(300_000)
    const text = request('POST /echo', { ...h2c, 'Content-Type': 'text/plain' }, body)
    for (let at = 0; at < text.length; at += 100_000) raw.write(text.slice(at, at + 100_000))
    expect(await raw.status()).toBe(413)
    await raw.readsTo('</html>\n')

    raw.write(request('POST /echo', { ...h2c, 'Content-Type': 'text/plain' }, 'hello'))
    expect(await raw.status()).toBe(200)
    await raw.readsTo('<hello>')
    raw.write(request('POST /echo', { 'Content-Type': 'text/plain' }, 'again'))
    expect(await raw.status()).toBe(200)
    await raw.readsTo('<again>')
    raw.write(request('GET /broadcast/health', h2c))
    expect(await raw.status()).toBe(200)
    await raw.readsTo('{"status":"ok"}')
    raw.write(handshake('/broadcast'))
    expect(await raw.status()).toBe(101)
  })

  it('to HTTP/2 may contain a poll', async () => {
    const server = await start()
    const raw = await RawSocket.open(server)
    const text = request('POST /broadcast', h2c, '{"__type":"auth"}')
    // The request is sent in pieces.
    raw.write(text.slice(0, -17))
    raw.write(text.slice(-17, -5))
    const alice = await signIn(server, { transport: 'longpoll' })
    raw.write(text.slice(-5))
    expect(await raw.readsTo(']')).toMatch(/^HTTP\/1\.1 200[^]*"authOk"/)
    await alice.close()
  })

  it('with a chunked body is read to its end', async () => {
    const server = await start()
    const raw = await RawSocket.open(server)
    raw.write(request('POST /broadcast', { ...h2c, 'Transfer-Encoding': 'chunked' }))
    raw.write('8\r\n{"__type\r\n', '9\r\n":"auth"}\r\n', '0\r\n\r\n')
    expect(await raw.readsTo(']')).toMatch(/^HTTP\/1\.1 200[^]*"authOk"/)
    raw.write(request('GET /broadcast/health'))
    expect(await raw.status()).toBe(200)
  })

  it('to a WebSocket is refused if it has a body', async () => {
    const server = await start()
    const raw = await RawSocket.open(server)
    raw.write(handshake('/broadcast', { 'Content-Length': '5' }), 'hello')
    expect(await raw.status()).toBe(400)
    await raw.readsTo('Bad Request')
    expect(server.logs.loud()).toEqual([])
    raw.write(request('GET /broadcast/health'))
    expect(await raw.status()).toBe(200)
  })
})

describe('a connection that is reset', () => {
  const next = () => new Promise((resolve) => setImmediate(resolve))

  it.each<
    [when: string, text: string, untilThen: (raw: RawSocket, started: () => boolean) => Promise<unknown>]
  >([
    ['with the last byte of a handshake', handshake('/broadcast'), next],
    ['while middleware is running', handshake('/broadcast'), (_, started) => until('middleware', started)],
    ['right after the handshake', handshake('/broadcast'), (raw) => raw.status()],
    ['while a refusal is written', handshake('/refused'), (_, started) => until('middleware', started)],
    ['after a refusal', handshake('/refused'), (raw) => raw.status()],
    ['with a handshake of an unknown path', handshake('/nowhere'), next],
    ['after a handshake of an unknown path', handshake('/nowhere'), (raw) => raw.status()],
    ['with an upgrade to HTTP/2', request('GET /nowhere', h2c), next],
    ['after an upgrade to HTTP/2', request('GET /nowhere', h2c), (raw) => raw.status()],
    [
      'in the body of an upgrade to HTTP/2',
      request('POST /nowhere', { ...h2c, 'Content-Length': '9' }),
      next,
    ],
  ])('%s, is ended, and the server continues to work', async (_, text, untilThen) => {
    const uncaught = watchUncaught()
    let started = 0
    const server = tidy(
      await startServer(
        {},
        {
          before: (app) => {
            app.use((_req, _res, next) => {
              started++
              setTimeout(next, 20)
            })
            app.use('/refused', (_req, res) => void res.status(403).send('x'.repeat(100_000)))
          },
        },
      ),
    )
    for (let i = 0; i < 5; i++) {
      const before = started
      const raw = await RawSocket.open(server)
      raw.write(text)
      await untilThen(raw, () => started > before)
      raw.reset()
    }
    await until('nothing to be left', async () => (await connections(server)) === 0)
    expect((await server.broadcaster.stats()).node.webSockets).toBe(0)
    await works(server)
    expect(uncaught).toEqual([])
  })

  it('is closed by the server after a refusal, if the client does not close it', async () => {
    const server = tidy(await startServer())
    const raw = await RawSocket.open(server, { allowHalfOpen: true })
    // Nothing reads the data that the client sends too early.
    raw.write(handshake('/nowhere'), 'x'.repeat(1000))
    expect(await raw.status()).toBe(404)
    await until('nothing to be left', async () => (await connections(server)) === 0)
  })
})
