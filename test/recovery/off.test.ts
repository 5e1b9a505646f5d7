import { describe, expect, it } from 'vitest'
import { replay } from '../interop/replay.ts'
import { readTranscripts } from '../interop/transcript.ts'
import { connect, signIn } from '../support/connect.ts'
import type { LongPollPeer } from '../support/longPollPeer.ts'
import { channelName } from '../support/names.ts'
import { publisherTo } from '../support/publisher.ts'
import { startRedis } from '../support/redis.ts'
import { startServer } from '../support/server.ts'
import { transports } from '../support/subject.ts'
import { tidy } from '../support/tidy.ts'
import { Visitor } from './visitor.ts'

const redis = tidy(await startRedis())
const publisher = tidy(publisherTo(redis.url))

describe('recovery: false', () => {
  it.each(transports)(
    'V1: makes the server use only the base, over %s, also for clients with the additions',
    async (transport) => {
      const server = tidy(await startServer({ redis: redis.url, recovery: false }))
      const channel = channelName()
      const alice = await signIn(server, { transport: 'websocket', auth: { __v: 1 } })
      await alice.subscribe(channel)
      const peer = await signIn(server, { transport, auth: { __v: 1, __client: 'bob', __generation: 1 } })
      expect(await peer.subscribe(channel, { position: '1.1' })).toEqual({ __type: 'subscribeOk', channel })
      await server.publish(channel, 'hello')
      expect(await peer.next()).toEqual({ __type: 'message', channel, body: 'hello' })
      expect(await alice.next()).toEqual({ __type: 'message', channel, body: 'hello' })
      await peer.send({ __type: 'ping' })
      if (transport === 'longpoll') expect(await peer.next()).toEqual({ __type: 'unknown' })
      await peer.hearsNothing()
    },
  )

  it('V1: makes authOk have no version', async () => {
    const server = tidy(await startServer({ redis: redis.url, recovery: false }))
    for (const transport of transports) {
      const peer = await connect(server, { transport })
      const answer = await peer.auth({ __v: 1 })
      const token = transport === 'longpoll' ? { __token: (peer as LongPollPeer).token } : {}
      expect(answer).toEqual({ __type: 'authOk', ...token })
    }
  })

  it.each(readTranscripts().map((transcript) => ({ name: transcript.name, transcript })))(
    'gives the recorded answers of the original: $name',
    async ({ transcript }) => {
      const options = {
        redis: redis.url,
        canConnect: (auth: Record<string, unknown>) => !('bad' in auth),
        canSubscribe: (_: unknown, channel: string) => channel !== 'secret',
        timeout: 2000,
        pollTime: 200,
        recovery: false,
      } as const
      const servers = { A: tidy(await startServer(options)), B: tidy(await startServer(options)) }
      await replay(transcript, { servers, publisher })
    },
  )

  it('works with our client, which reports a gap after every reconnection, because it may have missed messages', async () => {
    const server = tidy(await startServer({ redis: redis.url, recovery: false }))
    const channel = channelName()
    const alice = await Visitor.come(server.url, channel, { mode: 'websocket' })
    await server.publish(channel, '1')
    await alice.hears('1')
    server.httpServer.closeAllConnections()
    await alice.client.disconnect()
    await alice.client.connect()
    expect(await alice.hears('gap: node')).toEqual(['1', 'gap: node'])
    await server.publish(channel, '2')
    expect(await alice.hears('2')).toEqual(['1', 'gap: node', '2'])
  })
})
