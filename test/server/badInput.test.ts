import { once } from 'node:events'
import net from 'node:net'
import { describe, expect, it } from 'vitest'
import { LongPollPeer } from '../support/longPollPeer.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { tidy } from '../support/tidy.ts'
import { until, within } from '../support/waiting.ts'
import { refusedHandshake, WebSocketPeer } from '../support/webSocketPeer.ts'
import { works } from '../support/works.ts'

// Malformed HTTP and WebSocket input. The conformance tests contain malformed messages of the protocol.

const upgrade = {
  Host: 'localhost',
  Connection: 'Upgrade',
  Upgrade: 'websocket',
  'Sec-WebSocket-Version': '13',
  'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
}

async function open(server: TestServer): Promise<net.Socket> {
  const socket = net.connect(Number(new URL(server.url).port), '127.0.0.1')
  tidy({ close: () => socket.destroy() })
  await once(socket, 'connect')
  return socket
}

/** Sends a request and returns the status of the answer. */
async function statusOf(
  server: TestServer,
  headers: Record<string, string>,
  first = 'GET /broadcast HTTP/1.1',
) {
  const socket = await open(server)
  socket.write(
    [first, ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`), '', ''].join('\r\n'),
  )
  const [data] = (await within(once(socket, 'data'), 'an answer')) as [Buffer]
  return { status: Number(/^HTTP\/1\.1 (\d+)/.exec(String(data))?.[1]), socket }
}

/** A frame of RFC 6455. It is masked, like those of clients, unless `masked` is false. */
function frame(firstByte: number, payload: Buffer, { masked = true } = {}): Buffer {
  const mask = Buffer.from([1, 2, 3, 4])
  const head = Buffer.from([firstByte, payload.length | (masked ? 0x80 : 0)])
  if (!masked) return Buffer.concat([head, payload])
  return Buffer.concat([head, mask, payload.map((byte, i) => byte ^ mask[i % 4]!)])
}

describe('a handshake', () => {
  it.each<[what: string, headers: Record<string, string>, status: number[]]>([
    ['of another version', { ...upgrade, 'Sec-WebSocket-Version': '7' }, [400, 426]],
    ['without a version', { ...upgrade, 'Sec-WebSocket-Version': '' }, [400, 426]],
    ['with an invalid key', { ...upgrade, 'Sec-WebSocket-Key': 'short' }, [400]],
    ['to another protocol', { ...upgrade, Upgrade: 'h2c' }, [400]],
  ])('%s gets an HTTP error', async (_, headers, statuses) => {
    const server = tidy(await startServer())
    expect(statuses).toContain((await statusOf(server, headers)).status)
    await works(server)
  })

  it.each([
    'constructor',
    '__proto__',
    ',;constructor',
    'permessage-deflate; __proto__',
    'permessage-deflate; x=1',
  ])('that offers the extension %s is answered, and the server continues to work', async (extensions) => {
    const server = tidy(await startServer({ webSocket: { perMessageDeflate: true } }))
    const { status } = await statusOf(server, { ...upgrade, 'Sec-WebSocket-Extensions': extensions })
    expect([101, 400]).toContain(status)
    await works(server)
  })

  it('with another method gets an HTTP error', async () => {
    const server = tidy(await startServer())
    const { status } = await statusOf(
      server,
      { ...upgrade, 'Content-Length': '0' },
      'POST /broadcast HTTP/1.1',
    )
    expect(status).toBeGreaterThanOrEqual(400)
    await works(server)
  })

  it('below the path gets 404', async () => {
    const server = tidy(await startServer())
    const below = { ...server, url: `${server.url}/below` }
    expect((await refusedHandshake(below)).status).toBe(404)
  })

  it('can break off at any time, and the server continues to work', async () => {
    const server = tidy(
      await startServer({}, { before: (app) => app.use((_req, _res, next) => setTimeout(next, 50)) }),
    )
    const lines = [
      'GET /broadcast HTTP/1.1',
      ...Object.entries(upgrade).map(([n, v]) => `${n}: ${v}`),
      '',
      '',
    ]
    const request = lines.join('\r\n')
    for (const length of [10, request.length - 2, request.length]) {
      const socket = await open(server)
      socket.write(request.slice(0, length))
      socket.resetAndDestroy()
    }
    await works(server)
    await until('nothing to be left', async () => (await server.broadcaster.stats()).node.webSockets === 0)
  })
})

describe('a WebSocket', () => {
  it.each<[what: string, bytes: Buffer, code: number]>([
    ['an unmasked frame', frame(0x81, Buffer.from('{}'), { masked: false }), 1002],
    ['a reserved opcode', frame(0x83, Buffer.from('{}')), 1002],
    ['reserved bits', frame(0xf1, Buffer.from('{}')), 1002],
    ['text that is not UTF-8', frame(0x81, Buffer.from([0xff, 0xfe])), 1007],
  ])('with %s is closed', async (_, bytes, code) => {
    const server = tidy(await startServer())
    const { status, socket } = await statusOf(server, upgrade)
    expect(status).toBe(101)
    socket.write(bytes)
    const [data] = (await within(once(socket, 'data'), 'a close frame')) as [Buffer]
    expect(data[0]).toBe(0x88)
    expect(data.readUInt16BE(2)).toBe(code)
    await works(server)
    expect(server.logs.loud(), 'a client does not get to fill the log').toEqual([])
  })

  it('reads a fragmented message', async () => {
    const server = tidy(await startServer())
    const alice = await WebSocketPeer.connect(server)
    alice.socket.send('{"__type":', { fin: false })
    alice.socket.send('"au', { fin: false })
    alice.socket.ping()
    alice.socket.send('th"}', { fin: true })
    expect(await alice.next()).toEqual({ __type: 'authOk' })
  })

  it('is closed when it sends too much before it is authenticated, and memory does not grow', async () => {
    let decide = () => {}
    const thinking = new Promise<boolean>((resolve) => (decide = () => resolve(true)))
    const server = tidy(
      await startServer({ canConnect: () => thinking, limits: { channelsPerConnection: 10 } }),
    )
    const alice = await WebSocketPeer.connect(server)
    await alice.send({ __type: 'auth' })
    for (let i = 0; i < 10_000; i++) await alice.send({ __type: 'subscribe', channel: String(i) })
    expect((await alice.closed).code).toBeGreaterThanOrEqual(1008)
    decide()
    await works(server)
  })
})

describe('a request', () => {
  it('can break off, and the server continues to work', async () => {
    const server = tidy(await startServer())
    const socket = await open(server)
    socket.write('POST /broadcast HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{"__type":')
    socket.resetAndDestroy()
    await works(server)
  })

  it('with a compressed body is read or refused', async () => {
    const { gzipSync } = await import('node:zlib')
    const server = tidy(await startServer())
    const answer = await fetch(server.url, {
      method: 'POST',
      headers: { 'Content-Encoding': 'gzip' },
      body: new Uint8Array(gzipSync('{"__type":"auth"}')),
    })
    expect([200, 415]).toContain(answer.status)
  })

  it('is refused when it inflates to more than the limit', async () => {
    const { gzipSync } = await import('node:zlib')
    const server = tidy(await startServer({ limits: { messageBytes: 10_000 } }))
    const bomb = gzipSync(JSON.stringify({ __type: 'auth', padding: 'x'.repeat(1_000_000) }))
    const headers = { 'Content-Encoding': 'gzip' }
    const answer = await fetch(server.url, { method: 'POST', headers, body: new Uint8Array(bomb) })
    expect([413, 415]).toContain(answer.status)
  })

  it("can't derive the token of a client from the token of another one", async () => {
    const server = tidy(await startServer())
    const tokens = new Set<string>()
    for (let i = 0; i < 50; i++) {
      const peer = new LongPollPeer(server)
      await peer.auth()
      tokens.add(peer.token)
    }
    expect(tokens.size).toBe(50)
    for (const token of tokens) expect(token).toMatch(/^[\w-]{20,}$/)
  })

  it.each(['__proto__', 'constructor', 'toString', 'a:b', '*', ' ', '\n', '\0', 'x'.repeat(5000)])(
    'with the token %j has no session',
    async (token) => {
      const server = tidy(await startServer())
      const { status } = await new LongPollPeer(server).post({ __type: 'poll', seq: '0', __token: token })
      expect(status).toBe(401)
    },
  )
})
