import { expect, it } from 'vitest'
import { signIn } from '../support/connect.ts'
import { channelName } from '../support/names.ts'
import { startRedis } from '../support/redis.ts'
import { scramblingProxy } from '../support/scramblingProxy.ts'
import { startServer } from '../support/server.ts'
import { tidy } from '../support/tidy.ts'
import { sleep } from '../support/waiting.ts'

const DIFFERS = /do not receive messages in the same order/

/** Publishes in the channel, and subscribes new channels, so that there are beacons, until `end`. */
async function keepBusy(
  publish: (channel: string, body: string) => Promise<unknown>,
  channel: string,
  join: (channel: string) => Promise<unknown>,
  end: Promise<unknown>,
): Promise<void> {
  let isOver = false
  void end.finally(() => (isOver = true))
  for (let i = 0; !isOver; i++) {
    await Promise.all([
      publish(channel, `a${i}`),
      publish(channel, `b${i}`),
      i % 10 === 0 && join(channelName()),
    ])
    await sleep(2)
  }
  await end
}

it('R5: nodes that receive messages in different orders say so, and no longer recover clients of each other', async () => {
  const redis = tidy(await startRedis())
  const proxy = tidy(await scramblingProxy(redis.port, 'broadcaster'))
  const here = tidy(
    await startServer({
      redis: redis.url,
      limits: { channelsPerConnection: 10_000, requestsPerSecond: 10_000 },
    }),
  )
  const there = tidy(await startServer({ redis: redis.url, pubSub: `redis://${proxy.address}` }))
  const channel = channelName()
  const alice = await signIn(here, { transport: 'websocket', auth: { __v: 1 } })
  const bob = await signIn(there, { transport: 'websocket', auth: { __v: 1 } })
  for (const peer of [alice, bob]) await peer.subscribe(channel)
  const told = Promise.race([here, there].map(({ logs }) => logs.waitFor(DIFFERS)))
  await keepBusy(here.publish, channel, (other) => alice.subscribe(other), told)

  // One of the two has compared.
  const [suspicious, other] = here.logs.loud(DIFFERS).length > 0 ? [here, there] : [there, here]
  expect(suspicious.logs.loud(DIFFERS)).toHaveLength(1)
  // It counts in its own run from the next beacon on, which comes before this subscription is confirmed.
  const carol = await signIn(suspicious, { transport: 'websocket', auth: { __v: 1 } })
  await carol.subscribe(channelName())
  const dave = await signIn(other, { transport: 'websocket', auth: { __v: 1 } })
  const { position } = await dave.subscribe(channel)
  const moved = await signIn(suspicious, { transport: 'websocket', auth: { __v: 1 } })
  expect(await moved.subscribe(channel, { position })).toMatchObject({ recovered: false, reason: 'broker' })
})
