import type { BroadcasterOptions, RefusalKind } from '@broadcaster/server'
import { describe, expect, it } from 'vitest'
import { stopClock } from '../support/clock.ts'
import { signIn } from '../support/connect.ts'
import { LongPollPeer, post } from '../support/longPollPeer.ts'
import { handshake, RawSocket } from '../support/rawSocket.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { tidy } from '../support/tidy.ts'
import { transports } from '../support/subject.ts'
import { refusedHandshake, WebSocketPeer } from '../support/webSocketPeer.ts'

const SECRET = 'swordfish'

const start = async (options: BroadcasterOptions = {}) =>
  tidy(
    await startServer({
      canConnect: (auth) => auth['token'] !== SECRET,
      canSubscribe: (_, channel) => !channel.startsWith('closed'),
      limits: { channelBytes: 100, ...options.limits },
      ...options,
    }),
  )

type Line = { level: string; fields: Record<string, unknown>; text: string }

/** The log lines about refusals. */
function linesOf({ logs }: TestServer, kind?: RefusalKind): Line[] {
  return logs.lines.flatMap(({ level, text }) => {
    if (!text.startsWith('{"event":"refus')) return []
    const end = text.lastIndexOf('}') + 1
    const { event, ...fields } = JSON.parse(text.slice(0, end)) as Record<string, unknown>
    expect(event).toBe('unlogged' in fields ? 'refusalsUnlogged' : 'refused')
    return kind === undefined || fields['kind'] === kind ? [{ level, fields, text: text.slice(end + 1) }] : []
  })
}

async function countsOf({ broadcaster }: TestServer) {
  return (await broadcaster.stats()).node.refusals
}

const none = { origin: 0, auth: 0, channel: 0, limit: 0, frame: 0 }

describe('a refusal', () => {
  describe.each(transports)('over %s', (transport) => {
    const refuse = async (server: TestServer, text: string) => {
      if (transport === 'longpoll') return void (await post(server.url, text))
      const peer = await WebSocketPeer.connect(server)
      await peer.send(text)
      await peer.closed
    }

    it('is counted and logged: auth', async () => {
      const server = await start()
      await refuse(server, JSON.stringify({ __type: 'auth', token: SECRET }))
      await refuse(server, JSON.stringify({ __type: 'auth', token: SECRET, x: 'x'.repeat(20_000) }))
      expect(await countsOf(server)).toEqual({ ...none, auth: 2 })
      expect(linesOf(server)).toEqual(
        ['Unauthorized', 'Auth too large'].map((reason) => ({
          level: 'info',
          fields: { kind: 'auth', reason, address: '127.0.0.1' },
          text: `A client was refused: ${reason}`,
        })),
      )
      expect(JSON.stringify(server.logs.lines)).not.toContain(SECRET)
    })

    it('is counted and logged: a channel', async () => {
      const server = await start()
      const alice = await signIn(server, { transport, auth: { password: SECRET } })
      await alice.subscribe('closed')
      await alice.subscribe('x'.repeat(101))
      await alice.subscribe('open')
      expect(await countsOf(server)).toEqual({ ...none, channel: 2 })
      expect(linesOf(server)).toMatchObject([
        { fields: { kind: 'channel', reason: 'Channel refused', address: '127.0.0.1', channel: 'closed' } },
        { fields: { kind: 'channel', reason: 'Channel name too long', channel: 'x'.repeat(101) } },
      ])
      const token = alice instanceof LongPollPeer ? alice.token : SECRET
      for (const secret of [SECRET, token]) expect(JSON.stringify(server.logs.lines)).not.toContain(secret)
    })

    it('is counted and logged: a frame or body that is not a message, without its content', async () => {
      const server = await start()
      await refuse(server, `${SECRET} is no JSON`)
      await refuse(server, `["${SECRET}"]`)
      expect(await countsOf(server)).toEqual({ ...none, frame: 2 })
      expect(linesOf(server).map(({ fields }) => fields['reason'])).toEqual([
        'Invalid JSON',
        'Expected a JSON object, got array',
      ])
      expect(JSON.stringify(server.logs.lines)).not.toContain(SECRET)
    })

    it('is logged without control characters, and with a limited length', async () => {
      const server = await start()
      const alice = await signIn(server, { transport })
      await alice.subscribe('closed\u001b[2J\n\u202Efdp\u2028')
      await alice.subscribe(`closed${'x'.repeat(50_000)}`)
      const [first, second] = linesOf(server)
      expect(first!.fields['channel']).toBe('closed\uFFFD[2J\uFFFD\uFFFDfdp\uFFFD')
      expect((second!.fields['channel'] as string).length).toBeLessThan(600)
    })
  })

  it('is counted and logged: an origin', async () => {
    const server = await start()
    const headers = { Origin: 'https://elsewhere.example' }
    await refusedHandshake(server, { headers })
    await post(server.url, { __type: 'auth' }, { headers })
    expect(await countsOf(server)).toEqual({ ...none, origin: 2 })
    expect(linesOf(server)).toMatchObject([
      {
        level: 'warn',
        fields: {
          kind: 'origin',
          origin: 'https://elsewhere.example',
          host: new URL(server.url).host,
          address: '127.0.0.1',
        },
        text: expect.stringMatching(/^An origin was refused: .*checkOrigin/),
      },
    ])
  })

  it('is counted and logged: a frame that breaks the WebSocket protocol', async () => {
    const server = await start()
    const raw = await RawSocket.open(server)
    raw.write(handshake('/broadcast'))
    expect(await raw.status()).toBe(101)
    // Frames of a client have to be masked.
    raw.write(Buffer.from([0x82, 1, 0x20]))
    await raw.ended()
    expect(await countsOf(server)).toEqual({ ...none, frame: 1 })
    expect(linesOf(server)).toMatchObject([
      { fields: { kind: 'frame', reason: 'The frame breaks the WebSocket protocol', address: '127.0.0.1' } },
    ])
  })

  it('is counted and logged: a limit', async () => {
    const clock = stopClock()
    const server = await start({
      limits: {
        connections: 3,
        connectionsPerAddress: 5,
        unauthenticated: 1,
        messageBytes: 1000,
        requestsPerSecond: 1,
        channelsPerConnection: 1,
      },
    })
    const silent = await WebSocketPeer.connect(server)
    await refusedHandshake(server)
    clock.advance(60_000)
    const alice = await WebSocketPeer.connect(server)
    await silent.closed
    await alice.auth()
    await alice.send('x'.repeat(1001))
    await alice.closed
    await post(server.url, 'x'.repeat(1001))
    const bob = (await signIn(server, { transport: 'websocket' })) as WebSocketPeer
    for (let i = 0; i < 5; i++) await bob.send({ __type: 'unknown' })
    await bob.closed
    const count = (await countsOf(server)).limit
    expect(linesOf(server, 'limit').map(({ fields }) => (fields['reason'] as string).split(':')[0])).toEqual([
      'limits.unauthenticated',
      'limits.unauthenticated',
      'limits.messageBytes',
      'limits.messageBytes',
      'limits.requestsPerSecond',
    ])
    expect(count).toBe(5)
  })

  it('is counted and logged: authTimeout', async () => {
    const server = await start({ limits: { authTimeout: 50 } })
    await (
      await WebSocketPeer.connect(server)
    ).closed
    expect(linesOf(server)).toMatchObject([{ fields: { kind: 'limit', reason: 'Auth timeout' } }])
    expect(await countsOf(server)).toEqual({ ...none, limit: 1 })
  })

  it('is logged at the level of refusalLevel', async () => {
    const server = await start({ refusalLevel: 'error' })
    await post(server.url, { __type: 'auth' }, { headers: { Origin: 'https://elsewhere.example' } })
    await post(server.url, 'nonsense')
    expect(linesOf(server).map(({ level }) => level)).toEqual(['error', 'error'])
    await expect(start({ refusalLevel: 'loud' as 'warn' })).rejects.toThrow(/refusalLevel.*debug, info/)
  })

  it('can not fill the log: there are ten lines of a kind in a minute, then the number of the others', async () => {
    const clock = stopClock()
    const server = await start({ limits: { requestsPerSecond: Infinity } })
    const alice = await signIn(server, { transport: 'websocket' })
    const flood = async () => {
      for (let i = 0; i < 25; i++) await alice.subscribe(`closed ${i}`)
      await post(server.url, 'nonsense')
    }
    await flood()
    expect(linesOf(server, 'channel')).toHaveLength(10)
    expect(linesOf(server, 'frame'), 'each kind has its own limit').toHaveLength(1)
    clock.advance(60_000)
    await flood()
    const lines = linesOf(server, 'channel')
    expect(lines).toHaveLength(21)
    expect(lines[10]).toMatchObject({ level: 'info', fields: { kind: 'channel', unlogged: 15 } })
    expect(lines[11]).toMatchObject({ fields: { channel: 'closed 0' } })
    expect(await countsOf(server)).toMatchObject({ channel: 50, frame: 2 })
  })

  it('that was left out of the log is reported, also if there is no later refusal', async () => {
    const clock = stopClock()
    const server = await start()
    const alice = await signIn(server, { transport: 'websocket' })
    for (let i = 0; i < 11; i++) await alice.subscribe(`closed ${i}`)
    clock.advance(60_000)
    await server.logs.waitFor('1 more were not logged')
  })

  it('that was logged is not reported as left out when it repeats', async () => {
    const clock = stopClock()
    const server = await start()
    const alice = await signIn(server, { transport: 'websocket' })
    for (let i = 0; i < 10; i++) await alice.subscribe(`closed ${i}`)
    await alice.subscribe('closed 0')
    clock.advance(60_000)
    await alice.subscribe('closed 0')
    expect(linesOf(server)).toHaveLength(11)
  })

  it('that repeats is logged once a minute', async () => {
    const clock = stopClock()
    const server = await start()
    const alice = await signIn(server, { transport: 'websocket' })
    for (let i = 0; i < 5; i++) await alice.subscribe('closed')
    expect(linesOf(server)).toHaveLength(1)
    clock.advance(60_000)
    await alice.subscribe('closed')
    expect(linesOf(server)).toHaveLength(2)
  })
})
