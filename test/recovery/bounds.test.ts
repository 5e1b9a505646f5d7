import { describe, expect, it } from 'vitest'
import { signIn } from '../support/connect.ts'
import { channelName } from '../support/names.ts'
import { startRedis } from '../support/redis.ts'
import { startServer } from '../support/server.ts'
import { transports } from '../support/subject.ts'
import { tidy } from '../support/tidy.ts'
import { until } from '../support/waiting.ts'

const redis = tidy(await startRedis())

describe('the bounds of logs', () => {
  it.each(transports)(
    'R5: a client that comes back over %s after the window gets a gap with "expired", also from a node that never had the channel',
    async (transport) => {
      const options = { redis: redis.url, recovery: { window: 500 } }
      const [holder, other] = [tidy(await startServer(options)), tidy(await startServer(options))]
      const channel = channelName()
      const alice = await signIn(holder, { transport, auth: { __v: 1 } })
      const witness = await signIn(holder, { transport: 'websocket' })
      const { position } = await alice.subscribe(channel)
      await witness.subscribe(channel)
      await alice.close()
      await holder.publish(channel, 'missed')
      await witness.next()
      await until('the log to be empty', async () => {
        const { node } = await holder.broadcaster.stats()
        return node.logMessages === 0
      })
      const again = await signIn(holder, { transport, auth: { __v: 1 } })
      expect(await again.subscribe(channel, { position })).toMatchObject({
        recovered: false,
        reason: 'expired',
      })
      const elsewhere = await signIn(other, { transport, auth: { __v: 1 } })
      expect(await elsewhere.subscribe(channel, { position })).toMatchObject({ recovered: false })
      await holder.publish(channel, 'live')
      for (const peer of [again, elsewhere]) expect(await peer.next()).toMatchObject({ body: 'live' })
    },
  )

  it('maxTotalBytes: all channels together stay within it, and dropped messages are a gap with "overflow"', async () => {
    const maxTotalBytes = 500_000
    const server = tidy(await startServer({ redis: redis.url, recovery: { maxTotalBytes } }))
    const channels = Array.from({ length: 20 }, () => channelName())
    const alice = await signIn(server, { transport: 'websocket', auth: { __v: 1 } })
    const places = new Map<string, unknown>()
    for (const channel of channels) places.set(channel, (await alice.subscribe(channel))['position'])
    const padding = 'x'.repeat(10_000)
    for (let i = 0; i < 10; i++) {
      for (const channel of channels) await server.publish(channel, `${i} ${padding}`)
    }
    await alice.take(200)
    const bytes = async () => (await server.broadcaster.stats()).node.logBytes
    await until('the logs to be within their limit', async () => (await bytes()) <= maxTotalBytes)

    const again = await signIn(server, { transport: 'websocket', auth: { __v: 1 } })
    const answers = await Promise.all(
      channels.map((channel) => again.subscribe(channel, { position: places.get(channel) })),
    )
    const told = answers.filter(({ recovered }) => recovered === false)
    expect(told.length).toBeGreaterThan(0)
    for (const { reason } of told) expect(reason).toBe('overflow')
    for (const { recovered, messages } of answers) {
      if (recovered === true) expect(messages, 'all or nothing').toHaveLength(10)
    }
  })

  it('a log is kept for the window after its last subscriber has left, and then the channel is released', async () => {
    const server = tidy(await startServer({ redis: redis.url, timeout: 600, recovery: { window: 1500 } }))
    const channel = channelName()
    const alice = await signIn(server, { transport: 'websocket', auth: { __v: 1 } })
    const { position } = await alice.subscribe(channel)
    await alice.close()
    await server.publish(channel, 'meanwhile')
    await until('the node to have received it', async () => {
      const { node } = await server.broadcaster.stats()
      return node.logMessages === 1
    })
    const again = await signIn(server, { transport: 'websocket', auth: { __v: 1 } })
    expect(await again.subscribe(channel, { position })).toMatchObject({
      recovered: true,
      messages: [['meanwhile', expect.any(String)]],
    })
    await again.close()
    await until('the channel to be released', async () => {
      const { node } = await server.broadcaster.stats()
      return node.channels === 0
    })
    expect(await redis.cli('PUBSUB', 'NUMSUB', channel)).toBe(`${channel}\n0`)
  })
})
