import { describe, expect, it } from 'vitest'
import { BodyLimits } from '../../server/src/http/bodyLimits.ts'
import { ENVELOPE_BYTES } from '../../server/src/clients/access.ts'
import { defaultLimits } from '../../server/src/limits.ts'
import { defaultRecovery } from '../../server/src/options.ts'
import { signIn } from '../support/connect.ts'
import { LongPollPeer, post } from '../support/longPollPeer.ts'
import { channelName } from '../support/names.ts'
import { startRedis } from '../support/redis.ts'
import { startServer } from '../support/server.ts'
import { tidy } from '../support/tidy.ts'
import { WebSocketPeer } from '../support/webSocketPeer.ts'

const start = async () => tidy(await startServer({ redis: tidy(await startRedis()).url, pollTime: 0 }))

const { channelsPerConnection, channelNamesBytes, channelBytes, messageBytes } = defaultLimits

/** The largest names that a client may have, with characters that take six bytes each in JSON. */
const longest = (count: number) =>
  Array.from({ length: count }, (_, i) => `${i}`.padEnd(Math.floor(channelNamesBytes / count), '\u0001'))

const subscribeAll = async (peer: LongPollPeer, names: readonly string[]) => {
  for (let i = 0; i < names.length; i += 50) {
    const answers = await Promise.all(names.slice(i, i + 50).map((name) => peer.subscribe(name)))
    for (const { __type } of answers) expect(__type).toBe('subscribeOk')
  }
}

describe('the default limits fit each other', () => {
  it('the largest auth and a subscribe with the longest name fit into a message', () => {
    expect(defaultLimits.authBytes + ENVELOPE_BYTES).toBeLessThanOrEqual(messageBytes)
    const position = 'p'.repeat(64)
    const subscribe = {
      __type: 'subscribe',
      channel: '\0'.repeat(channelBytes),
      position,
      __token: 't'.repeat(36),
    }
    expect(Buffer.byteLength(JSON.stringify(subscribe))).toBeLessThanOrEqual(messageBytes)
  })

  it.each([channelsPerConnection, Math.floor(channelNamesBytes / channelBytes), 1])(
    'L10: a poll of a client with %i channels and the most bytes of names is not too large',
    (count) => {
      const position = 'p'.repeat(64)
      const positions = Object.fromEntries(longest(count).map((name) => [name, position]))
      const poll = JSON.stringify({ __type: 'poll', seq: '0'.repeat(16), positions, __token: 't'.repeat(36) })
      expect(Buffer.byteLength(poll)).toBeLessThanOrEqual(new BodyLimits(defaultLimits).poll)
    },
  )

  it('buffers and logs have room for the largest request, answer and log', () => {
    expect(defaultLimits.bufferedBytes).toBeGreaterThanOrEqual(messageBytes)
    expect(defaultLimits.bufferedBytes).toBeGreaterThanOrEqual(channelNamesBytes)
    expect(defaultLimits.answerBytes).toBeGreaterThanOrEqual(defaultRecovery.maxBytes)
    expect(defaultRecovery.maxTotalBytes).toBeGreaterThanOrEqual(defaultLimits.undeliveredBytes)
    expect(defaultLimits.channels).toBeGreaterThanOrEqual(channelsPerConnection)
  })
})

describe('with every limit at its default', () => {
  it('L10: a long-poll client with the most channels can poll with their positions', async () => {
    const server = await start()
    const alice = new LongPollPeer(server)
    await alice.auth({ __v: 1 })
    const names = longest(channelsPerConnection)
    await subscribeAll(alice, names)
    await server.publish(names[7]!, 'hello')
    expect(await alice.next()).toMatchObject({ channel: names[7], body: 'hello' })
    expect(await alice.subscribe(channelName())).toMatchObject({ reason: 'Too many channels' })
  })

  it('W11: a WebSocket client that subscribes to 1,900 channels at once gets 1,000, and stays connected', async () => {
    const server = await start()
    const alice = (await signIn(server, { transport: 'websocket' })) as WebSocketPeer
    const names = Array.from({ length: 1900 }, () => channelName())
    for (const channel of names) void alice.send({ __type: 'subscribe', channel })
    const answers = await alice.take(names.length)
    const given = answers.filter(({ __type }) => __type === 'subscribeOk')
    expect(given).toHaveLength(channelsPerConnection)
    const others = answers.filter(({ __type }) => __type !== 'subscribeOk')
    expect(new Set(others.map(({ reason }) => reason))).toEqual(new Set(['Too many channels']))
    await server.publish(given[0]!['channel'] as string, 'hello')
    expect(await alice.next()).toMatchObject({ body: 'hello' })
  })

  it('L10: a request over messageBytes gets 413 unless it is a poll, and so does a poll that is larger than any client needs', async () => {
    const server = await start()
    const alice = new LongPollPeer(server)
    await alice.auth({ __v: 1 })
    const padding = 'x'.repeat(messageBytes)
    const { poll } = new BodyLimits(defaultLimits)
    for (const [message, status] of [
      [{ __type: 'ping', padding }, 413],
      // A request of another type that contains the word "poll".
      [{ __type: 'ping', is: 'poll', padding }, 413],
      [{ __type: 'poll', seq: '1', padding: 'x'.repeat(poll) }, 413],
      [{ __type: 'poll', seq: '2', positions: { gone: 'x' }, padding }, 200],
    ] as const) {
      expect((await alice.post(message)).status, `${message.__type} ${status}`).toBe(status)
    }
    expect((await post(server.url, { __type: 'auth', padding })).status).toBe(413)
  })
})
