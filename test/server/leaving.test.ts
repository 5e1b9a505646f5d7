import { expect, it } from 'vitest'
import { channelName } from '../support/names.ts'
import { startRedis } from '../support/redis.ts'
import { startServer } from '../support/server.ts'
import { tidy } from '../support/tidy.ts'
import { until } from '../support/waiting.ts'
import { WebSocketPeer } from '../support/webSocketPeer.ts'

const redis = tidy(await startRedis())

async function calls(command: string): Promise<number> {
  const stats = await redis.cli('INFO', 'commandstats')
  return Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(stats)?.[1] ?? 0)
}

it('unsubscribes at Redis in batches, and from all channels, when very many channels are left at once', async () => {
  const server = tidy(
    await startServer({ redis: redis.url, recovery: false, limits: { channelsPerConnection: 10_000 } }),
  )
  const own = (await redis.cli('PUBSUB', 'CHANNELS')).split('\n').length
  const name = channelName()
  const alice = await WebSocketPeer.connect(server)
  await alice.auth()
  const count = 2_200
  for (let i = 0; i < count; i++) await alice.send({ __type: 'subscribe', channel: `${name} ${i}` })
  for (const { __type } of await alice.take(count)) expect(__type).toBe('subscribeOk')
  expect((await redis.cli('PUBSUB', 'CHANNELS')).split('\n')).toHaveLength(own + count)
  const before = await calls('unsubscribe')
  await alice.close()
  await until('Redis to have none of them', async () => {
    return (await redis.cli('PUBSUB', 'CHANNELS')).split('\n').length === own
  })
  // All clients of Redis wait during a command, and this number of arguments may not even fit on the stack.
  expect((await calls('unsubscribe')) - before).toBeGreaterThanOrEqual(count / 500)
})
