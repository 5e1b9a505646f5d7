import { once } from 'node:events'
import net from 'node:net'
import { describe, expect, it, vi } from 'vitest'
import { waitingPoll } from '../support/barriers.ts'
import { connect, signIn } from '../support/connect.ts'
import { LongPollPeer, post } from '../support/longPollPeer.ts'
import { channelName } from '../support/names.ts'
import { startServer } from '../support/server.ts'
import { transports } from '../support/subject.ts'
import { tidy } from '../support/tidy.ts'
import { until, within } from '../support/waiting.ts'
import { refusedHandshake, WebSocketPeer } from '../support/webSocketPeer.ts'

describe('limits', () => {
  it('messageBytes: closes a WebSocket with 1009 and answers a request with 413 if it has one byte more', async () => {
    const server = tidy(await startServer({ limits: { messageBytes: 1000 } }))
    const auth = (bytes: number) => {
      const empty = JSON.stringify({ __type: 'auth', padding: '' })
      return JSON.stringify({ __type: 'auth', padding: 'x'.repeat(bytes - empty.length) })
    }
    const alice = await WebSocketPeer.connect(server)
    await alice.send(auth(1000))
    expect(await alice.next()).toEqual({ __type: 'authOk' })
    await alice.send(auth(1001))
    expect((await alice.closed).code).toBe(1009)
    expect((await post(server.url, auth(1000))).status).toBe(200)
    expect((await post(server.url, auth(1001))).status).toBe(413)
  })

  it('messageBytes: counts bytes, not characters', async () => {
    const server = tidy(await startServer({ limits: { messageBytes: 1000 } }))
    const body = JSON.stringify({ __type: 'auth', padding: '\u20ac'.repeat(400) })
    const alice = await WebSocketPeer.connect(server)
    await alice.send(body)
    expect((await alice.closed).code).toBe(1009)
    expect((await post(server.url, body)).status).toBe(413)
  })

  it.each([Number.POSITIVE_INFINITY, 2 ** 32 + 10])(
    'messageBytes: %s accepts more than a 32-bit number, and refuses more than a string can hold',
    async (messageBytes) => {
      const server = tidy(await startServer({ limits: { messageBytes, authBytes: Infinity } }))
      const auth = { padding: 'x'.repeat(1_000_000) }
      for (const transport of transports) await signIn(server, { transport, auth })
      const ask = async (head: Buffer | string) => {
        const socket = net.connect(Number(new URL(server.url).port), '127.0.0.1')
        tidy({ close: () => socket.destroy() })
        socket.write(head)
        return { socket, data: String((await within(once(socket, 'data'), 'an answer'))[0]) }
      }
      // Only the announced length matters, so the test does not send the data.
      const tooLarge = 600_000_000
      const posted = `POST /broadcast HTTP/1.1\r\nHost: x\r\nContent-Length: ${tooLarge}\r\n\r\n{`
      expect((await ask(posted)).data).toMatch(/^HTTP\/1\.1 413/)
      const { socket } = await ask(
        'GET /broadcast HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
          'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
      )
      const frame = Buffer.from([0x81, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4])
      frame.writeUInt32BE(tooLarge, 6)
      socket.write(frame)
      const [close] = (await within(once(socket, 'data'), 'a close frame')) as [Buffer]
      expect([close[0], close.readUInt16BE(2)]).toEqual([0x88, 1009])
    },
  )

  it.each(transports)('A3: authBytes: refuses larger auth data over %s', async (transport) => {
    let asked = 0
    const server = tidy(await startServer({ limits: { authBytes: 100 }, canConnect: () => ++asked > 0 }))
    const small = await connect(server, { transport })
    expect(await small.auth({ x: 'x'.repeat(50) })).toMatchObject({ __type: 'authOk' })
    const large = await connect(server, { transport })
    expect(await large.auth({ x: 'x'.repeat(100) })).toEqual({
      __type: 'authError',
      reason: 'Auth too large',
    })
    expect(asked, 'canConnect was not called').toBe(1)
  })

  it.each(transports)('S4: channelBytes: refuses longer names over %s', async (transport) => {
    const server = tidy(await startServer({ limits: { channelBytes: 20 } }))
    const alice = await signIn(server, { transport })
    expect(await alice.subscribe('x'.repeat(20))).toMatchObject({ __type: 'subscribeOk' })
    expect(await alice.subscribe('x'.repeat(21))).toMatchObject({ reason: 'Channel name too long' })
    expect(await alice.subscribe('\u00e9'.repeat(11))).toMatchObject({ reason: 'Channel name too long' })
  })

  it.each(transports)(
    'S4: channelNamesBytes: refuses names that are too long together over %s',
    async (transport) => {
      const server = tidy(await startServer({ limits: { channelNamesBytes: 20 } }))
      const alice = await signIn(server, { transport })
      const [first, second] = ['x'.repeat(10), '\u00e9'.repeat(5)]
      for (const channel of [first, second]) {
        expect(await alice.subscribe(channel)).toMatchObject({ __type: 'subscribeOk' })
      }
      expect(await alice.subscribe('y')).toMatchObject({ reason: 'Channel names too long together' })
      await alice.unsubscribe(second)
      expect(await alice.subscribe('y')).toMatchObject({ __type: 'subscribeOk' })
    },
  )

  it.each(transports)('S4: channelsPerConnection: refuses one more over %s', async (transport) => {
    const server = tidy(await startServer({ limits: { channelsPerConnection: 2 } }))
    const alice = await signIn(server, { transport })
    // They are sent at once, to test that none is counted too late.
    const answers = await Promise.all([1, 2, 3, 4].map(() => alice.subscribe(channelName())))
    expect(answers.map(({ __type }) => __type).sort()).toEqual([
      'subscribeError',
      'subscribeError',
      'subscribeOk',
      'subscribeOk',
    ])
    expect(answers.find(({ __type }) => __type === 'subscribeError')).toMatchObject({
      reason: 'Too many channels',
    })
  })

  it('W10: connections: answers 503 while the node is full, and accepts clients when there is room', async () => {
    const server = tidy(await startServer({ limits: { connections: 2 } }))
    const alice = await WebSocketPeer.connect(server)
    await alice.auth()
    const bob = await WebSocketPeer.connect(server)
    expect(
      (await refusedHandshake(server)).status,
      'a connection that has not authenticated counts too',
    ).toBe(503)
    await alice.close()
    await until('room', async () => {
      try {
        return await WebSocketPeer.connect(server)
      } catch {
        return undefined
      }
    })
    await bob.close()
  })

  it('W10, L10: connections: counts waiting polls', async () => {
    const server = tidy(await startServer({ limits: { connections: 2 } }))
    await signIn(server, { transport: 'websocket' })
    const alice = new LongPollPeer(server)
    await alice.auth()
    await alice.subscribe(channelName())
    const bob = new LongPollPeer(server)
    await bob.auth()
    await bob.subscribe(channelName())
    void alice.poll().catch(() => {})
    const { messages } = (await until('the node to be full', async () => {
      const answer = await bob.poll({}, { signal: AbortSignal.timeout(300) }).catch(() => undefined)
      return answer?.status === 503 && answer
    })) as { messages: unknown[] }
    expect(messages).toEqual([{ __type: 'serverError', reason: expect.stringMatching(/./) }])
    expect((await refusedHandshake(server)).status).toBe(503)
  })

  it('authTimeout: closes with 4408', async () => {
    const server = tidy(await startServer({ limits: { authTimeout: 100 } }))
    const alice = await WebSocketPeer.connect(server)
    expect(await alice.closed).toEqual({ code: 4408, reason: 'Auth timeout' })
  })

  it('authTimeout: does not close an authenticated client', async () => {
    const server = tidy(await startServer({ limits: { authTimeout: 300 } }))
    const alice = await signIn(server, { transport: 'websocket' })
    const late = await WebSocketPeer.connect(server)
    expect((await late.closed).code).toBe(4408)
    expect(await alice.subscribe(channelName())).toMatchObject({ __type: 'subscribeOk' })
  })

  it('bufferedBytes: bounds the buffer of a client that stops reading', async () => {
    const server = tidy(
      await startServer({ limits: { bufferedBytes: 200_000 }, recovery: { maxBytes: 300_000 } }),
    )
    const channel = channelName()
    const alice = await WebSocketPeer.connect(server)
    const bob = await WebSocketPeer.connect(server)
    for (const peer of [alice, bob]) {
      await peer.auth({ __v: 1 })
      await peer.subscribe(channel)
    }
    alice.stall()
    const body = 'x'.repeat(60_000)
    const total = 1000
    for (let i = 0; i < total; i++) {
      await server.publish(channel, `${i} ${body}`)
      await bob.next()
    }
    expect((await server.broadcaster.stats()).node.lagging).toBe(1)
    alice.resume()
    let heard = 0
    while ((await alice.next()).__type === 'message') heard++
    // 60 MB were published. The messages before the gap were buffered by the system (up to 10 MB) and by us.
    expect(heard).toBeLessThan(total / 3)
  })

  it('W9: drops a silent connection, and keeps one that answers pings', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    try {
      const server = tidy(await startServer())
      const quiet = await WebSocketPeer.connect(server, { autoPong: false })
      await quiet.auth()
      const living = await WebSocketPeer.connect(server)
      await living.auth()
      let pings = 0
      living.socket.on('ping', () => pings++)
      let isDropped = false
      void quiet.closed.then(() => (isDropped = true))
      await until('the quiet one to be dropped', async () => {
        vi.advanceTimersByTime(5000)
        // The pong of the living client arrives during this round trip.
        await living.unsubscribe('x')
        return isDropped
      })
      expect(pings).toBeGreaterThan(0)
      expect((await quiet.closed).code).toBe(1006)
      expect(await living.subscribe(channelName())).toMatchObject({ __type: 'subscribeOk' })
    } finally {
      vi.useRealTimers()
    }
  })

  it('apply to a poll that is already waiting', async () => {
    const server = tidy(await startServer({ limits: { channelsPerConnection: 1 } }))
    const [first, second] = [channelName(), channelName()]
    const alice = new LongPollPeer(server)
    await alice.auth()
    const poll = await waitingPoll(alice)
    expect(await alice.subscribe(first)).toMatchObject({ __type: 'subscribeOk' })
    expect(await alice.subscribe(second)).toMatchObject({ __type: 'subscribeError' })
    await server.publish(second, 'not for alice')
    await server.publish(first, 'for alice')
    expect((await poll.answer).messages).toMatchObject([{ body: 'for alice' }])
  })
})
