import { describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { channelName } from '../support/names.ts'
import { LongPollPeer } from '../support/longPollPeer.ts'
import { startRedis } from '../support/redis.ts'
import { startNodes, startServer } from '../support/server.ts'
import { tcpProxy } from '../support/tcpProxy.ts'
import { tidy } from '../support/tidy.ts'
import { until } from '../support/waiting.ts'
import { waitingPoll } from '../support/barriers.ts'
import { signIn } from '../support/connect.ts'
import type { Subject } from '../support/subject.ts'
import { WebSocketPeer } from '../support/webSocketPeer.ts'
import { numbers, Visitor } from './visitor.ts'

const redis = tidy(await startRedis())
const cluster = tidy(await startNodes(2, { redis: redis.url }))
const [nodeA, nodeB] = cluster.nodes as [(typeof cluster.nodes)[0], (typeof cluster.nodes)[0]]

describe('a client that reconnects while its old connection still looks open', () => {
  it('A1: the old WebSocket is closed with 4409 on its node, and the client gets every message once', async () => {
    const channel = channelName()
    const proxy = tidy(await tcpProxy(Number(new URL(nodeA.origin).port)))
    const closes: number[] = []
    let connections = 0
    const alice = await Visitor.come(nodeB.url, channel, {
      mode: 'websocket',
      pingInterval: 200,
      WebSocket: class extends WebSocket {
        constructor() {
          super(++connections === 1 ? `ws://${proxy.address}/broadcast` : nodeB.url.replace('http', 'ws'))
          this.on('close', (code) => closes.push(code))
        }
      },
    })
    await cluster.publish(channel, '1')
    await alice.hears('1')
    // The connection becomes half-open: neither side notices it, and the writes of the node are lost.
    proxy.stall()
    for (const body of numbers(10, 2)) await cluster.publish(channel, body)
    expect(await alice.hears('10')).toEqual(numbers(10))
    expect(connections).toBe(2)
    await until('the old connection to be gone', async () => (await webSockets(nodeA)) === 0)
    proxy.resume()
    await until('the old connection to be closed', () => closes.length > 0)
    expect(closes).toEqual([4409])
    await cluster.publish(channel, '11')
    expect(await alice.hears('11')).toEqual(numbers(11))
  })

  it('A1: an older connection that arrives late is closed as replaced', async () => {
    const auth = { __v: 1, __client: channelName('client') }
    const newer = await signIn(nodeA, { transport: 'websocket', auth: { ...auth, __generation: 3 } })
    await until('the other node to know', () => isReplaced(nodeB, { ...auth, __generation: 2 }))
    expect(await newer.subscribe(channelName())).toMatchObject({ __type: 'subscribeOk' })
  })

  it('A1: an older one stays closed when the fence of a still older one arrives late', async () => {
    const auth = { __v: 1, __client: channelName('client') }
    await signIn(nodeA, { transport: 'websocket', auth: { ...auth, __generation: 3 } })
    await until('the other node to know', () => isReplaced(nodeB, { ...auth, __generation: 2 }))
    // The older connection was replaced, so it sends no fence. This one comes from a node that has not heard of the newest.
    const late = JSON.stringify({ v: 1, type: 'fence', client: auth.__client, generation: 1 })
    await redis.cli('PUBLISH', 'broadcaster', late)
    const channel = channelName()
    const bob = await signIn(nodeB, { transport: 'websocket' })
    await bob.subscribe(channel)
    await cluster.publish(channel, 'after the fence')
    await bob.next()
    expect(await isReplaced(nodeB, { ...auth, __generation: 2 })).toBe(true)
  })

  it('A1: the old session is ended, and its waiting poll is answered', async () => {
    const auth = { __v: 1, __client: channelName('client') }
    const old = new LongPollPeer(nodeA)
    await old.auth({ ...auth, __generation: 1 })
    const poll = await waitingPoll(old)
    const again = new LongPollPeer(nodeB)
    await again.auth({ ...auth, __generation: 2 })
    expect((await poll.answer).status).toBe(401)
    expect((await old.poll()).status).toBe(401)
    expect(await again.subscribe(channelName())).toMatchObject({ __type: 'subscribeOk' })
  })

  it('A1: the server keeps a generation only while an older connection can exist', async () => {
    const server = tidy(await startServer({ timeout: 300 }))
    const client = channelName('client')
    const signedIn = (auth: object) => signIn(server, { transport: 'websocket', auth: { __v: 1, ...auth } })
    const newer = await signedIn({ __client: client, __generation: 3 })
    await newer.close()
    const older = { __v: 1, __client: client, __generation: 2 }
    expect(await isReplaced(server, older)).toBe(true)
    await until('the generation to be removed', async () => {
      // The server removes old generations when it gets a new one.
      await signedIn({ __client: channelName('client'), __generation: 2 })
      return !(await isReplaced(server, older))
    })
  })
})

/** Whether a client with this auth data is told that it has a newer connection. */
async function isReplaced(server: Subject, auth: object): Promise<boolean> {
  const peer = await WebSocketPeer.connect(server)
  await peer.auth(auth)
  const replaced = await Promise.race([
    peer.closed.then(({ code }) => code === 4409),
    peer.subscribe(channelName()).then(
      () => false,
      () => true,
    ),
  ])
  await peer.close()
  return replaced
}

async function webSockets(node: typeof nodeA): Promise<number> {
  return (await node.broadcaster.stats()).node.webSockets
}
