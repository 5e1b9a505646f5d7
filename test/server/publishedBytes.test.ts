import { describe, expect, it } from 'vitest'
import { signIn } from '../support/connect.ts'
import type { LongPollPeer } from '../support/longPollPeer.ts'
import { channelName } from '../support/names.ts'
import { startRedis } from '../support/redis.ts'
import { startServer } from '../support/server.ts'
import { transports } from '../support/subject.ts'
import { tidy } from '../support/tidy.ts'
import type { WebSocketPeer } from '../support/webSocketPeer.ts'

const redis = tidy(await startRedis())
const MiB = 1024 * 1024
const tooLarge = '\0'.repeat(2 * MiB)

describe('limits.publishedBytes: a body that is too large', () => {
  it.each(transports)('R5: is a gap over %s, between the messages before and after it', async (transport) => {
    const server = tidy(await startServer({ redis: redis.url }))
    const channel = channelName()
    const alice = await signIn(server, { transport, auth: { __v: 1 } })
    await alice.subscribe(channel)
    await server.publish(channel, 'before')
    expect(await alice.next()).toMatchObject({ body: 'before' })
    await server.publish(channel, tooLarge)
    const gap = await alice.next()
    expect(gap).toEqual({ __type: 'gap', channel, position: expect.any(String), reason: 'overflow' })
    await server.publish(channel, 'after')
    expect(await alice.next()).toMatchObject({ __type: 'message', body: 'after' })
    // It is numbered like any other message. So recovery works from a position after it, and not from one before it.
    const bob = await signIn(server, { transport, auth: { __v: 1 } })
    const resumed = await bob.subscribe(channel, { position: gap['position'] })
    expect(resumed).toMatchObject({ recovered: true, messages: [['after', expect.any(String)]] })
  })

  it('R6: closes the WebSocket of a client of the base, and its long-poll continues, as after any overflow', async () => {
    const server = tidy(await startServer({ redis: redis.url, recovery: false }))
    const channel = channelName()
    const alice = (await signIn(server, { transport: 'websocket' })) as WebSocketPeer
    const bob = (await signIn(server, { transport: 'longpoll' })) as LongPollPeer
    for (const peer of [alice, bob]) await peer.subscribe(channel)
    await server.publish(channel, tooLarge)
    expect((await alice.closed).code).toBe(4410)
    await server.publish(channel, 'after')
    expect(await bob.next()).toMatchObject({ body: 'after' })
  })

  it('is logged once, and is measured in bytes of UTF-8', async () => {
    const server = tidy(await startServer({ redis: redis.url, limits: { publishedBytes: 3000 } }))
    const channel = channelName()
    const alice = await signIn(server, { transport: 'websocket', auth: { __v: 1 } })
    await alice.subscribe(channel)
    for (const body of ['€'.repeat(1000), 'x'.repeat(3000), '€'.repeat(1001), 'x'.repeat(3001)]) {
      await server.publish(channel, body)
    }
    const types = (await alice.take(4)).map(({ __type }) => __type)
    expect(types).toEqual(['message', 'message', 'gap', 'gap'])
    await server.logs.waitFor('publishedBytes')
    expect(server.logs.loud('publishedBytes')).toHaveLength(1)
    const fields = { event: 'publishedTooLarge', channel, bytes: 3003, limit: 3000 }
    expect(server.logs.loud(JSON.stringify(fields))).toHaveLength(1)
  })

  it.each([
    ['over Redis', redis.url],
    ['in process', false as const],
  ])('is refused by publish(), %s', async (_where, target) => {
    const server = tidy(await startServer({ redis: target, limits: { publishedBytes: 100 } }))
    const publish = (body: unknown) => server.broadcaster.publish(channelName(), body)
    for (const body of ['x'.repeat(101), 'ä'.repeat(51), Buffer.alloc(101), { text: 'x'.repeat(90) }]) {
      await expect(publish(body)).rejects.toMatchObject({ code: 'invalidOption' })
    }
    for (const body of ['x'.repeat(100), 'ä'.repeat(50), Buffer.alloc(100)]) await publish(body)
  })
})
