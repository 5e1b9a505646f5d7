import { describe, expect, it } from 'vitest'
import { signIn } from '../support/connect.ts'
import { channelName } from '../support/names.ts'
import { startNodeProcess } from '../support/nodeProcess.ts'
import { startRedis } from '../support/redis.ts'
import { roundRobin } from '../support/roundRobin.ts'
import { startServer } from '../support/server.ts'
import { transports } from '../support/subject.ts'
import { tidy } from '../support/tidy.ts'
import { numbers, Visitor } from './visitor.ts'

describe.each(transports)('a node that is killed, over %s', (mode) => {
  it('R2, R3, R5: its clients continue on another node that has the channel, and miss no message', async () => {
    const redis = tidy(await startRedis())
    const killed = tidy(await startNodeProcess({ redis: redis.url }))
    const other = tidy(await startNodeProcess({ redis: redis.url }))
    const proxy = tidy(await roundRobin([killed.url, other.url]))
    const channel = channelName()
    // The first connection goes to the first node. The other node has the channel for another client.
    const alice = await Visitor.come(`${proxy.origin}/broadcast`, channel, { mode })
    const bob = await Visitor.come(other.url, channel, { mode: 'websocket' })
    for (const body of numbers(5)) await other.publish(channel, body)
    await alice.hears('5')
    await killed.stop('SIGKILL')
    for (const body of numbers(20, 6)) await other.publish(channel, body)
    await bob.hears('20')
    expect(await alice.hears('20')).toEqual(numbers(20))
    await other.publish(channel, '21')
    expect(await alice.hears('21')).toEqual(numbers(21))
  })
})

describe('a killed node that was the only one with a channel', () => {
  it('R5: leaves no node that has the missed messages, and its clients are told of a gap', async () => {
    const redis = tidy(await startRedis())
    const killed = tidy(await startNodeProcess({ redis: redis.url }))
    const other = tidy(await startNodeProcess({ redis: redis.url }))
    const proxy = tidy(await roundRobin([killed.url, other.url]))
    const channel = channelName()
    const alice = await Visitor.come(`${proxy.origin}/broadcast`, channel, { mode: 'websocket' })
    await other.publish(channel, '1')
    await alice.hears('1')
    await killed.stop('SIGKILL')
    expect(await alice.hears('gap: node')).toEqual(['1', 'gap: node'])
    await other.publish(channel, '2')
    expect(await alice.hears('2')).toEqual(['1', 'gap: node', '2'])
  })
})

describe.each(transports)('a node that has never had a channel, over %s', (transport) => {
  it('R3, R8: asks the node that has it, and replays the missed messages with the same positions', async () => {
    const redis = tidy(await startRedis())
    const [holder, late] = [
      tidy(await startServer({ redis: redis.url })),
      tidy(await startServer({ redis: redis.url })),
    ]
    const channel = channelName()
    const come = (server: typeof holder) => signIn(server, { transport, auth: { __v: 1 } })
    const [alice, bob] = [await come(holder), await come(holder)]
    const { position } = await alice.subscribe(channel)
    await bob.subscribe(channel)
    for (const body of numbers(50)) await holder.publish(channel, body)
    const heard = (await bob.take(50)).map(({ body, position }) => [body, position])
    await alice.close()

    const again = await come(late)
    expect(await again.subscribe(channel, { position })).toEqual({
      __type: 'subscribeOk',
      channel,
      position: expect.any(String),
      recovered: true,
      messages: heard,
    })
    await holder.publish(channel, 'live')
    const [here, there] = [await again.next(), await bob.next()]
    expect(here).toMatchObject({ body: 'live' })
    expect(here).toEqual(there)
  })
})
