import { describe, expect, it } from 'vitest'
import { waitingPoll } from '../support/barriers.ts'
import { signIn } from '../support/connect.ts'
import { LongPollPeer } from '../support/longPollPeer.ts'
import { channelName } from '../support/names.ts'
import { startRedis } from '../support/redis.ts'
import { startNodes } from '../support/server.ts'
import { tidy } from '../support/tidy.ts'
import { sleep, until } from '../support/waiting.ts'
import { refusedHandshake, type WebSocketPeer } from '../support/webSocketPeer.ts'
import { numbers, Visitor } from './visitor.ts'

async function start() {
  const redis = tidy(await startRedis())
  const cluster = tidy(await startNodes(2, { redis: redis.url }))
  const [leaving, staying] = cluster.nodes
  return { cluster, leaving: leaving!, staying: staying! }
}

describe('close({ drain })', () => {
  it('R5, M2: clients of both transports move to another node while messages are published, and miss no message', async () => {
    const { cluster, leaving, staying } = await start()
    const channel = channelName()
    const visitors = await Promise.all(
      Array.from({ length: 10 }, (_, i) =>
        Visitor.come(cluster.url, channel, { mode: i % 2 === 0 ? 'websocket' : 'longpoll' }),
      ),
    )
    let count = 0
    let isDone = false
    const publishing = (async () => {
      while (!isDone) {
        await staying.publish(channel, String(++count))
        await sleep(2)
      }
    })()
    await leaving.broadcaster.close({ drain: 1000 })
    await leaving.close()
    await until('all WebSockets to be on the other node', async () => {
      const { node } = await staying.broadcaster.stats()
      return node.webSockets === 5
    })
    isDone = true
    await publishing
    for (const visitor of visitors) expect(await visitor.hears(String(count))).toEqual(numbers(count))
  })

  it('moves WebSockets one after the other over this time, and waits for the same time again for the last ones', async () => {
    const { leaving } = await start()
    const closedAt: number[] = []
    const peers = (await Promise.all(
      Array.from({ length: 20 }, () => signIn(leaving, { transport: 'websocket' })),
    )) as WebSocketPeer[]
    for (const { socket } of peers) socket.on('close', () => closedAt.push(performance.now()))
    await leaving.broadcaster.close({ drain: 1000 })
    const endedAt = performance.now()
    for (const { closed } of peers) expect((await closed).code).toBe(1012)
    // These are lower bounds, because a loaded machine can only make it longer.
    expect(closedAt.at(-1)! - closedAt[0]!, 'from the first to the last').toBeGreaterThan(500)
    expect(endedAt - closedAt[0]!, 'from the first to the end').toBeGreaterThan(1500)
  })

  it('R2: serves its logs to other nodes until the clients have moved, also of channels that no other node had', async () => {
    const { leaving, staying } = await start()
    const channel = channelName()
    const alice = (await signIn(leaving, { transport: 'websocket', auth: { __v: 1 } })) as WebSocketPeer
    await alice.subscribe(channel)
    await leaving.publish(channel, '1')
    const { position } = await alice.next()
    const closing = leaving.broadcaster.close({ drain: 1000 })
    expect(await alice.closed).toEqual({ code: 1012, reason: 'Service restart' })
    // They are published over a connection that exists longer than the node.
    for (const body of ['2', '3']) await staying.publish(channel, body)
    const again = await signIn(staying, { transport: 'websocket', auth: { __v: 1 } })
    expect(await again.subscribe(channel, { position })).toMatchObject({
      recovered: true,
      messages: [
        ['2', expect.any(String)],
        ['3', expect.any(String)],
      ],
    })
    await closing
  })

  it('W10, L10: refuses new WebSockets and sessions with 503, and answers polls at once', async () => {
    const { leaving } = await start()
    const session = new LongPollPeer(leaving)
    await session.auth({ __v: 1 })
    const poll = await waitingPoll(session)
    // The node waits for this client.
    await signIn(leaving, { transport: 'websocket' })
    const closing = leaving.broadcaster.close({ drain: 3000 })
    expect((await poll.answer).messages).toEqual([])
    expect((await refusedHandshake(leaving)).status).toBe(503)
    const stranger = new LongPollPeer(leaving)
    const { status, messages } = await stranger.post({ __type: 'auth' })
    expect(status).toBe(503)
    expect(messages).toMatchObject([{ __type: 'serverError' }])
    const late = await session.poll()
    expect(late.status, 'a later poll is answered, and its connection is closed').toBe(200)
    expect(late.headers.get('connection')).toBe('close')
    await closing
  })
})
