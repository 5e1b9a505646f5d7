import { describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { fakePage } from '../client/fakeTime.ts'
import { signIn } from '../support/connect.ts'
import { LongPollPeer } from '../support/longPollPeer.ts'
import { channelName } from '../support/names.ts'
import { startRedis } from '../support/redis.ts'
import { startNodes } from '../support/server.ts'
import { tcpProxy } from '../support/tcpProxy.ts'
import { tidy } from '../support/tidy.ts'
import { sleep, until } from '../support/waiting.ts'
import { numbers, Visitor } from './visitor.ts'

const cluster = tidy(await startNodes(2, { redis: tidy(await startRedis()).url }))
const [nodeA, nodeB] = cluster.nodes as [(typeof cluster.nodes)[0], (typeof cluster.nodes)[0]]

describe('a client that changes its transport', () => {
  it('R2, R3: from WebSocket on one node to long-poll on another and back gets every message once, in order', async () => {
    const channel = channelName()
    const proxy = tidy(await tcpProxy(Number(new URL(nodeA.origin).port)))
    const page = fakePage()
    const alice = await Visitor.come(nodeB.url, channel, {
      mode: 'auto',
      WebSocket: class extends WebSocket {
        constructor() {
          super(`ws://${proxy.address}/broadcast`)
        }
      },
    })
    const isOn = (transport: string) =>
      until(`the client to be on ${transport}`, () => alice.client.transport === transport)
    let count = 0
    let isDone = false
    const publishing = (async () => {
      while (!isDone) {
        await cluster.publish(channel, String(++count))
        await sleep(2)
      }
    })()
    for (let round = 0; round < 3; round++) {
      await isOn('websocket')
      await hearsOfNow()
      proxy.refuse()
      proxy.cut()
      await isOn('longpoll')
      await hearsOfNow()
      proxy.resume()
      page.goOnline()
    }
    await isOn('websocket')
    isDone = true
    await publishing
    expect(await alice.hears(String(count))).toEqual(numbers(count))

    async function hearsOfNow() {
      const now = String(count + 1)
      await until(`${now} to be heard`, () => alice.heard.includes(now))
    }
  })

  it('A2, R2: ends its old session, and gets the messages that it had not received there', async () => {
    const channel = channelName()
    const session = new LongPollPeer(nodeA)
    await session.auth({ __v: 1 })
    const { position } = await session.subscribe(channel)
    for (const body of numbers(3)) await cluster.publish(channel, body)
    const socket = await signIn(nodeB, {
      transport: 'websocket',
      auth: { __v: 1, __previous: session.token },
    })
    expect(await socket.subscribe(channel, { position })).toMatchObject({
      recovered: true,
      messages: numbers(3).map((body) => [body, expect.any(String)]),
    })
    await until('the session to be ended', async () => (await session.poll()).status === 401)
  })
})
