import type { Limits } from '@broadcaster/server'
import { describe, expect, it } from 'vitest'
import { publishAndArrive } from '../support/barriers.ts'
import { stopClock } from '../support/clock.ts'
import { connect, signIn } from '../support/connect.ts'
import { LongPollPeer } from '../support/longPollPeer.ts'
import { limitsReached } from '../support/metrics.ts'
import { channelName } from '../support/names.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { tidy } from '../support/tidy.ts'
import { refusedHandshake, WebSocketPeer } from '../support/webSocketPeer.ts'

// The tests of the other limits count them too: `answerTimeout` and `unreadBytes` in unreadAnswers.test.ts, `undeliveredBytes` and
// `backfillBytes` in recovery/, `bufferedBytes`, `totalBufferedBytes` and `laggingTimeout` in bufferBudget.test.ts.

const webSocket = (server: TestServer, auth: object = { __v: 1 }) =>
  signIn(server, { transport: 'websocket', auth }) as Promise<WebSocketPeer>
const longPoll = (server: TestServer, auth: object = { __v: 1 }) =>
  signIn(server, { transport: 'longpoll', auth }) as Promise<LongPollPeer>

type Case = readonly [
  limit: keyof Limits,
  how: string,
  limits: Partial<Limits>,
  times: number,
  reach: (server: TestServer) => Promise<unknown>,
]

const cases: readonly Case[] = [
  [
    'messageBytes',
    'a frame and a body',
    { messageBytes: 1000 },
    2,
    async (server) => {
      const alice = await webSocket(server)
      await alice.send({ __type: 'subscribe', channel: 'x'.repeat(2000) })
      await alice.closed
      const answer = await new LongPollPeer(server).post({ __type: 'auth', x: 'x'.repeat(2000) })
      expect(answer.status).toBe(413)
    },
  ],
  [
    'authBytes',
    'on both transports',
    { authBytes: 100 },
    2,
    async (server) => {
      for (const transport of ['websocket', 'longpoll'] as const) {
        const alice = await connect(server, { transport })
        expect(await alice.auth({ padding: 'x'.repeat(200) })).toMatchObject({ __type: 'authError' })
      }
    },
  ],
  [
    'channelBytes',
    'on both transports',
    { channelBytes: 10 },
    2,
    async (server) => {
      for (const alice of [await webSocket(server), await longPoll(server)])
        expect(await alice.subscribe('x'.repeat(11))).toMatchObject({ __type: 'subscribeError' })
    },
  ],
  [
    'channelsPerConnection',
    'on both transports',
    { channelsPerConnection: 1 },
    2,
    async (server) => {
      for (const alice of [await webSocket(server), await longPoll(server)]) {
        await alice.subscribe('one')
        expect(await alice.subscribe('two')).toMatchObject({ __type: 'subscribeError' })
      }
    },
  ],
  [
    'channelNamesBytes',
    'on both transports',
    { channelNamesBytes: 5 },
    2,
    async (server) => {
      for (const alice of [await webSocket(server), await longPoll(server)]) {
        await alice.subscribe('one')
        expect(await alice.subscribe('two')).toMatchObject({ __type: 'subscribeError' })
      }
    },
  ],
  [
    'publishedBytes',
    'publish()',
    { publishedBytes: 10 },
    1,
    (server) => expect(server.broadcaster.publish('news', 'x'.repeat(11))).rejects.toThrow('publishedBytes'),
  ],
  [
    'newChannelsPerSecond',
    'a channel that waits for its turn',
    { newChannelsPerSecond: 20, channelsPerConnection: 2 },
    1,
    async (server) => {
      // On a slow machine, the bucket would be full again.
      stopClock()
      const alice = await webSocket(server)
      for (const name of ['one', 'two', 'three']) {
        await alice.subscribe(name)
        await alice.unsubscribe(name)
      }
    },
  ],
  [
    'channels',
    'a node that has no room',
    { channels: 1 },
    1,
    async (server) => {
      const alice = await webSocket(server)
      await alice.subscribe('one')
      expect(await alice.subscribe('two')).toMatchObject({ __type: 'subscribeError' })
    },
  ],
  [
    'answerBytes',
    'an answer that is cut',
    { answerBytes: 1000 },
    1,
    async (server) => {
      const alice = await longPoll(server)
      const channel = channelName()
      await alice.subscribe(channel)
      await publishAndArrive(server, channel, ['x'.repeat(600), 'y'.repeat(600)])
      await alice.bodies(channel, 2)
    },
  ],
  [
    'historyMessages',
    'on both transports',
    { historyMessages: 5 },
    2,
    async (server) => {
      for (const alice of [await webSocket(server), await longPoll(server)])
        await alice.subscribe(channelName(), { history: 6 })
    },
  ],
  [
    'connections',
    'a WebSocket, a poll and a session',
    { connections: 1 },
    3,
    async (server) => {
      const alice = await longPoll(server)
      const bob = await WebSocketPeer.connect(server)
      expect((await refusedHandshake(server)).status).toBe(503)
      expect((await alice.poll()).status).toBe(503)
      expect((await new LongPollPeer(server).post({ __type: 'auth' })).status).toBe(503)
      await bob.close()
    },
  ],
  [
    'connectionsPerAddress',
    'on both transports',
    { connectionsPerAddress: 1 },
    2,
    async (server) => {
      await WebSocketPeer.connect(server)
      expect((await refusedHandshake(server)).status).toBe(429)
      expect((await new LongPollPeer(server).post({ __type: 'auth' })).status).toBe(429)
    },
  ],
  [
    'unauthenticated',
    'while none can be dropped',
    { unauthenticated: 1 },
    1,
    async (server) => {
      await WebSocketPeer.connect(server)
      expect((await refusedHandshake(server)).status).toBe(503)
    },
  ],
  [
    'requestsPerSecond',
    'frames of a connection',
    { requestsPerSecond: 1, channelsPerConnection: 1 },
    1,
    async (server) => {
      const alice = await webSocket(server)
      for (let i = 0; i < 5; i++) await alice.send({ __type: 'ping' })
      expect((await alice.closed).code).toBe(4429)
    },
  ],
  [
    'authTimeout',
    'a WebSocket without auth',
    { authTimeout: 20 },
    1,
    async (server) => expect((await (await WebSocketPeer.connect(server)).closed).code).toBe(4408),
  ],
]

describe('a limit that is reached is counted', () => {
  it.each(cases)('%s: %s', async (limit, _, limits, times, reach) => {
    const server = tidy(await startServer({ limits, recovery: { maxBytes: 64 * 1024 * 1024 } }))
    await reach(server)
    expect(await limitsReached(server.broadcaster)).toEqual({ [limit]: times })
  })
})
