import type { Socket } from 'node:net'
import { describe, expect, it, vi } from 'vitest'
import { signIn } from '../support/connect.ts'
import { channelName } from '../support/names.ts'
import { handshake, RawSocket, request } from '../support/rawSocket.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { tidy } from '../support/tidy.ts'
import { until, within } from '../support/waiting.ts'
import { refusedHandshake, WebSocketPeer } from '../support/webSocketPeer.ts'

/** A raw WebSocket client after its handshake. It sends only the bytes that the test writes. */
async function openRaw(server: TestServer): Promise<RawSocket> {
  const raw = await RawSocket.open(server)
  raw.write(handshake('/broadcast'))
  expect(await raw.status()).toBe(101)
  return raw
}

function frame(text: string): Buffer {
  const payload = Buffer.from(text)
  expect(payload.length).toBeLessThan(126)
  // A mask of zeros does not change the payload.
  return Buffer.concat([Buffer.from([0x81, 0x80 | payload.length, 0, 0, 0, 0]), payload])
}

/** Advances the server's intervals, with a round trip after each one, until the condition is true. */
async function pass(server: TestServer, what: string, ask: () => boolean, meanwhile = () => {}) {
  const living = await WebSocketPeer.connect(server)
  await living.auth()
  await until(what, async () => {
    vi.advanceTimersByTime(2500)
    meanwhile()
    await living.unsubscribe('x')
    return ask()
  })
  expect(await living.subscribe(channelName()), 'a client that answers stays').toMatchObject({
    __type: 'subscribeOk',
  })
}

/** Replaces intervals by fake ones, which the test advances. Everything else is real. */
async function withIntervals(test: () => Promise<void>): Promise<void> {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  try {
    await test()
  } finally {
    vi.useRealTimers()
  }
}

describe('sockets of clients', () => {
  it('count for limits.connections until they are gone, when we have closed them and the client has not', async () => {
    const server = tidy(await startServer({ limits: { connections: 2 } }))
    const raw = await openRaw(server)
    raw.write(frame('{"__type":"subscribe"}'))
    await raw.readsTo('Auth expected')
    expect((await server.broadcaster.stats()).node.webSockets).toBe(0)
    const alice = await WebSocketPeer.connect(server)
    expect((await refusedHandshake(server)).status).toBe(503)
    raw.socket.destroy()
    const bob = await until('room', () => WebSocketPeer.connect(server).catch(() => undefined))
    expect((await refusedHandshake(server)).status).toBe(503)
    await alice.close()
    await bob!.close()
    await until('room', () => WebSocketPeer.connect(server).catch(() => undefined))
  })

  it('W10: count while checkOrigin decides, and at most until the timeout of the handshake', async () => {
    const answers: (() => void)[] = []
    let thinks = true
    const checkOrigin = () => !thinks || new Promise<boolean>((resolve) => answers.push(() => resolve(true)))
    const server = tidy(await startServer({ limits: { connections: 1 }, checkOrigin }))
    const raw = await RawSocket.open(server)
    raw.write(handshake('/broadcast'))
    await until('it to be asked', () => answers.length === 1)
    thinks = false
    expect((await refusedHandshake(server)).status).toBe(503)
    raw.socket.destroy()
    const alice = await until('room', () => WebSocketPeer.connect(server).catch(() => undefined), {
      ms: 25_000,
    })
    answers[0]!()
    expect((await refusedHandshake(server)).status, 'it was not counted down twice').toBe(503)
    await alice!.close()
    await until('room', () => WebSocketPeer.connect(server).catch(() => undefined))
  })

  it.each<[string, (raw: RawSocket) => void]>([
    ['by us', (raw) => raw.write(frame('{"__type":"subscribe"}'))],
    ['by ws, for a frame that breaks the protocol', (raw) => raw.write(Buffer.from([0xff, 0xff]))],
    [
      'by the client, which does not end the connection',
      (raw) => raw.write(Buffer.from([0x88, 0x80, 0, 0, 0, 0])),
    ],
  ])('W9: end seconds after they were closed %s, if the client does nothing', async (_, close) => {
    await withIntervals(async () => {
      const sockets: Socket[] = []
      const server = tidy(await startServer())
      server.httpServer.on('connection', (socket) => sockets.push(socket))
      const raw = await RawSocket.open(server, { allowHalfOpen: true })
      raw.write(handshake('/broadcast'))
      expect(await raw.status()).toBe(101)
      const { bytesRead } = raw.socket
      close(raw)
      await until('a close frame', () => raw.socket.bytesRead > bytesRead)
      vi.advanceTimersByTime(2500)
      expect(sockets[0]!.destroyed, 'the client has time to answer').toBe(false)
      // This is shorter than the time after which a silent client is dropped.
      for (let i = 0; i < 2; i++) vi.advanceTimersByTime(2500)
      expect(sockets[0]!.destroyed).toBe(true)
    })
  })

  it('W9: end when only parts of a frame arrive, byte by byte', async () => {
    await withIntervals(async () => {
      const server = tidy(await startServer())
      const raw = await openRaw(server)
      raw.write(frame('{"__type":"auth"}'))
      await raw.readsTo('authOk')
      let isGone = false
      void raw.closed.then(() => (isGone = true))
      raw.write(Buffer.from([0x81, 0xfe, 0xff, 0xff, 0, 0, 0, 0]))
      await pass(
        server,
        'the slow one to be dropped',
        () => isGone,
        () => raw.socket.writable && raw.write('x'),
      )
    })
  })

  it('W9, W11: do not end while the server does not read from them and their clients read', async () => {
    await withIntervals(async () => {
      const sockets: Socket[] = []
      const server = tidy(await startServer({ limits: { bufferedBytes: 100_000, messageBytes: 300_000 } }))
      server.httpServer.on('connection', (socket) => sockets.push(socket))
      const alice = (await signIn(server, { transport: 'websocket' })) as WebSocketPeer
      const socket = sockets.at(-1)!
      alice.stall()
      for (let i = 0; i < 200; i++) {
        await alice.send({ __type: 'unsubscribe', channel: `${i} ${'x'.repeat(200_000)}` })
      }
      await until('the server to stop reading from alice', () => socket.isPaused())
      let taken = 0
      alice.socket.on('message', () => ++taken % 5 === 0 && alice.stall())
      const sent = () => socket.bytesWritten - socket.writableLength
      for (let i = 0; i < 3; i++) {
        const before = sent()
        await until('alice to have read a part', () => {
          alice.resume()
          return sent() > before
        })
        vi.advanceTimersByTime(30_000)
      }
      expect(taken, 'data was waiting all the time').toBeLessThan(200)
      await until('the rest', () => {
        alice.resume()
        return taken === 200
      })
      alice.resume()
      expect(await alice.subscribe(channelName())).toMatchObject({ __type: 'subscribeOk' })
    })
  })
})

describe('upgrade requests and bodies', () => {
  it('W10, L10: end within seconds when there is no answer, the answer is not read, or the rest does not arrive', async () => {
    const large = 'x'.repeat(50_000_000)
    const server = tidy(
      await startServer(
        {},
        {
          before: (app) => {
            app.use('/hanging', () => {})
            app.use('/large', (_req, res) => res.status(403).send(large))
          },
        },
      ),
    )
    const open = async (text: string, isRead = true) => {
      const raw = await RawSocket.open(server, { allowHalfOpen: true })
      if (!isRead) raw.socket.pause()
      raw.write(text)
      return raw
    }
    const sockets: Socket[] = []
    server.httpServer.on('connection', (socket) => sockets.push(socket))
    const body = '{"__type":"auth"}'
    const head = request('POST /broadcast', { 'Content-Length': String(body.length + 1) })
    await open(handshake('/hanging'))
    await open(handshake('/hanging/broadcast'))
    await open(handshake('/large'), false)
    await open(handshake('/nowhere'))
    await open(handshake('/broadcast', { Origin: 'https://elsewhere.example' }))
    const half = await open(head + body)
    expect(await within(half.status(), 'an answer', 25_000)).toBe(408)
    await within(
      Promise.all(
        sockets.map((socket) => socket.destroyed || new Promise((gone) => socket.once('close', gone))),
      ),
      'all connections to end',
      25_000,
    )
    expect(sockets).toHaveLength(6)
  })
})
