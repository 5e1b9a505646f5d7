import { afterEach, describe, expect, it, vi } from 'vitest'
import { publishAndArrive } from '../support/barriers.ts'
import { signIn } from '../support/connect.ts'
import type { LongPollPeer } from '../support/longPollPeer.ts'
import { channelName } from '../support/names.ts'
import { startRedis } from '../support/redis.ts'
import { startServer } from '../support/server.ts'
import { tidy } from '../support/tidy.ts'
import { sleep } from '../support/waiting.ts'

const redis = tidy(await startRedis())
const HOUR = 3_600_000

const backends = [
  ['over Redis', { redis: redis.url }],
  ['in process', { redis: false }],
] as const

/** Sets the time of the system forwards or back while everything runs. */
function setClock(byMs: number): void {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + byMs })
}

describe.each(backends)('when the clock of the machine is set, %s', (_where, backend) => {
  afterEach(() => {
    vi.useRealTimers()
  })

  it('back by an hour: an earlier message still reaches a poll', async () => {
    const server = tidy(await startServer(backend))
    const channel = channelName()
    const alice = (await signIn(server, { transport: 'longpoll' })) as LongPollPeer
    await alice.subscribe(channel)
    await publishAndArrive(server, channel, ['before'])
    setClock(-HOUR)
    expect(await alice.bodies(channel, 1)).toEqual(['before'])
    await server.publish(channel, 'after')
    expect(await alice.bodies(channel, 1)).toEqual(['after'])
  })

  it('back by an hour: a poll ends after its timeout', async () => {
    const server = tidy(await startServer({ ...backend, timeout: 300 }))
    const alice = (await signIn(server, { transport: 'longpoll' })) as LongPollPeer
    await alice.subscribe(channelName())
    const poll = alice.poll()
    setClock(-HOUR)
    expect((await poll).messages).toEqual([])
    expect((await alice.poll()).messages).toEqual([])
  })

  it('forward by an hour: sessions continue, and no message in a log expires', async () => {
    const server = tidy(await startServer(backend))
    const channel = channelName()
    const alice = (await signIn(server, { transport: 'longpoll', auth: { __v: 1 } })) as LongPollPeer
    await alice.subscribe(channel)
    await publishAndArrive(server, channel, ['before'])
    setClock(HOUR)
    // The server removes expired messages from the logs once a second.
    await sleep(1500)
    expect(await alice.bodies(channel, 1)).toEqual(['before'])
  })
})
