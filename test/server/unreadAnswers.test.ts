import net from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { publishAndArrive } from '../support/barriers.ts'
import { signIn } from '../support/connect.ts'
import type { LongPollPeer } from '../support/longPollPeer.ts'
import { limitsReached } from '../support/metrics.ts'
import { channelName } from '../support/names.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { tidy } from '../support/tidy.ts'
import { until, within } from '../support/waiting.ts'
import { refusedHandshake, WebSocketPeer } from '../support/webSocketPeer.ts'

/** More than the 4 to 10 MB that the system buffers for a socket. */
const SIZE = 16 * 1024 * 1024
const large = 'x'.repeat(SIZE / 4)

const limits = { publishedBytes: SIZE, undeliveredBytes: 2 * SIZE, answerBytes: 2 * SIZE }

/** Sends a poll and does not read the answer. */
function pollUnread(server: TestServer, token: string) {
  const body = JSON.stringify({ __type: 'poll', seq: '0', __token: token })
  const closed = new Promise<void>((resolve) => {
    // A client that does not read does not notice the end of the connection, so this uses the server's socket.
    server.httpServer.once('connection', (socket) => socket.once('close', () => resolve()))
  })
  const socket = net.connect(Number(new URL(server.origin).port), '127.0.0.1').pause()
  onTestFinished(() => void socket.destroy())
  socket.write(`POST /broadcast HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`)
  return { closed, socket }
}

/** Creates sessions with more messages than the buffers of a socket hold. */
async function sessionsWithMuch(server: TestServer, count: number): Promise<LongPollPeer[]> {
  const channel = channelName()
  const sessions: LongPollPeer[] = []
  while (sessions.length < count) {
    const peer = (await signIn(server, { transport: 'longpoll', auth: { __v: 1 } })) as LongPollPeer
    await peer.subscribe(channel)
    sessions.push(peer)
  }
  await publishAndArrive(server, channel, [large, large, large, large])
  return sessions
}

const stats = async (server: TestServer, name: 'webSockets' | 'unreadBytes') =>
  (await server.broadcaster.stats()).node[name]

const refusals = async (server: TestServer) => (await server.broadcaster.stats()).node.refusals.limit

describe('a long-poll answer that is not read', () => {
  it('L14: counts as one of limits.connections until it is gone', async () => {
    const server = tidy(await startServer({ limits: { ...limits, connections: 2 } }))
    const sessions = await sessionsWithMuch(server, 2)
    const sockets = () => stats(server, 'webSockets')
    await until('the WebSockets that waited for the messages to be gone', async () => (await sockets()) === 0)
    const polls = sessions.map(({ token }) => pollUnread(server, token))
    const unreadBytes = () => stats(server, 'unreadBytes')
    await until('both answers', async () => (await unreadBytes()) > 1.5 * SIZE)
    expect((await refusedHandshake(server)).status).toBe(503)
    polls[0]!.socket.destroy()
    await within(polls[0]!.closed, 'the connection to end')
    const isAccepted = () =>
      WebSocketPeer.connect(server).then(
        () => true,
        () => false,
      )
    await until('room for a client', isAccepted)
  })

  it('L14: is dropped after limits.answerTimeout, and the next poll gets its messages', async () => {
    const server = tidy(await startServer({ limits: { ...limits, answerTimeout: 5000 } }))
    const [alice] = (await sessionsWithMuch(server, 1)) as [LongPollPeer]
    const { closed } = pollUnread(server, alice.token)
    await within(closed, 'the connection to be dropped')
    expect(await refusals(server)).toBe(1)
    expect(await limitsReached(server.broadcaster)).toMatchObject({ answerTimeout: 1 })
    expect((await alice.take(4)).map(({ body }) => (body as string).length)).toEqual(
      [1, 2, 3, 4].map(() => SIZE / 4),
    )
  })

  it('L14: is dropped when the session polls again and limits.bufferedBytes is exceeded', async () => {
    const server = tidy(await startServer({ limits: { ...limits, bufferedBytes: 1000 } }))
    const [alice] = (await sessionsWithMuch(server, 1)) as [LongPollPeer]
    const first = pollUnread(server, alice.token)
    await until('the answer', async () => (await server.broadcaster.stats()).node.unreadBytes > 0)
    pollUnread(server, alice.token)
    await within(first.closed, 'the first connection to be dropped')
    expect(await refusals(server)).toBe(1)
    expect((await limitsReached(server.broadcaster))['bufferedBytes']).toBeGreaterThan(0)
  })

  it('L14: is dropped when all sessions together exceed limits.unreadBytes, the oldest answer first', async () => {
    const server = tidy(await startServer({ limits: { ...limits, unreadBytes: 2 * SIZE } }))
    const sessions = await sessionsWithMuch(server, 3)
    const unreadBytes = async () => (await server.broadcaster.stats()).node.unreadBytes
    expect(await unreadBytes()).toBe(0)
    const first = pollUnread(server, sessions[0]!.token)
    await until('the first answer', async () => (await server.broadcaster.stats()).node.waitingPolls === 0)
    for (const { token } of sessions.slice(1)) pollUnread(server, token)
    await within(first.closed, 'the oldest to be dropped')
    await until('the remaining connections to be counted', async () => (await unreadBytes()) > 0)
    expect(await unreadBytes()).toBeLessThanOrEqual(2 * SIZE)
    expect(await refusals(server)).toBeGreaterThan(0)
    expect((await limitsReached(server.broadcaster))['unreadBytes']).toBeGreaterThan(0)
  })
})

describe('limits.answerBytes', () => {
  it('L12, R3: bounds a replay over long-poll, and the next poll gets the rest', async () => {
    const server = tidy(await startServer({ limits: { answerBytes: 10_000 } }))
    const channel = channelName()
    const alice = (await signIn(server, { transport: 'longpoll', auth: { __v: 1 } })) as LongPollPeer
    const { position } = await alice.subscribe(channel)
    const bodies = Array.from({ length: 30 }, (_, i) => `${i}`.padEnd(900, ' '))
    await publishAndArrive(server, channel, bodies)
    const bob = (await signIn(server, { transport: 'longpoll', auth: { __v: 1 } })) as LongPollPeer
    const ok = await bob.subscribe(channel, { position })
    expect(ok).toMatchObject({ recovered: true })
    const replay = ok['messages'] as [string, string][]
    expect(replay.map(([body]) => body)).toEqual(bodies.slice(0, replay.length))
    expect(replay.length).toBeGreaterThan(5)
    expect(replay.length).toBeLessThan(12)
    expect(ok['position'], 'it is where the client is').toBe(replay.at(-1)![1])
    expect(await bob.bodies(channel, 30 - replay.length)).toEqual(bodies.slice(replay.length))
    await bob.hearsNothing()
  })
})
