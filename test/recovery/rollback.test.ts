import type { ClientOptions, TransportName } from '@broadcaster/client'
import { describe, expect, it, onTestFinished } from 'vitest'
import { WebSocket } from 'ws'
import { fakePage } from '../client/fakeTime.ts'
import { channelName } from '../support/names.ts'
import { startRedis } from '../support/redis.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { transports } from '../support/subject.ts'
import { tcpProxy } from '../support/tcpProxy.ts'
import { tidy } from '../support/tidy.ts'
import { sleep, until } from '../support/waiting.ts'
import { Visitor } from './visitor.ts'

const redis = tidy(await startRedis())
/** The logs hold the whole test: a position from before a rollback is one that the server can replay from. */
const recovery = { maxMessages: Infinity, maxBytes: Infinity }
const on = tidy(await startServer({ redis: redis.url, recovery }))
const off = tidy(await startServer({ redis: redis.url, recovery: false }))
const portOf = ({ origin }: TestServer) => Number(new URL(origin).port)

/** One address, behind which the server is replaced, as in a deploy. */
async function deployment() {
  const proxy = tidy(await tcpProxy(portOf(on)))
  return {
    url: `http://${proxy.address}/broadcast`,
    address: proxy.address,
    replaceBy: (server: TestServer) => {
      proxy.retarget(portOf(server))
      proxy.cut()
    },
  }
}

/** Publishes numbers, one after the other, until `stop()`. */
function publishNumbers(channel: string) {
  let count = 0
  let isStopped = false
  const done = (async () => {
    while (!isStopped) {
      await on.publish(channel, String(++count))
      // Leaves the machine to the servers and the client.
      await sleep(1)
    }
  })()
  onTestFinished(() => {
    isStopped = true
    return done
  })
  return {
    get count() {
      return count
    },
    stop: () => {
      isStopped = true
      return done
    },
  }
}

/** Resolves when the visitor has received a message that is published after this call. */
async function isLive(visitor: Visitor, published: { readonly count: number }): Promise<void> {
  const from = published.count + 1
  await until(`a message from ${from} on`, () => visitor.heard.some((text) => Number(text) >= from))
}

/** Messages come once and in order, and each missing message has a gap in its place. */
function expectNoSilentLoss(heard: readonly string[], count: number): void {
  let last = 0
  let isAfterGap = false
  for (const text of heard) {
    if (text.startsWith('gap')) {
      isAfterGap = true
      continue
    }
    const number = Number(text)
    expect(number, `after ${last}`).toBeGreaterThan(last)
    if (!isAfterGap) expect(number).toBe(last + 1)
    last = number
    isAfterGap = false
  }
  expect(last).toBe(count)
}

describe('a rollback to servers without the additions, and back', () => {
  it.each<TransportName | 'auto'>([...transports, 'auto'])(
    'over %s: no message is doubled or out of order, and every loss is a gap',
    async (mode) => {
      const { url, replaceBy } = await deployment()
      const channel = channelName()
      const alice = await Visitor.come(url, channel, { mode })
      const published = publishNumbers(channel)
      for (const server of [off, on, off, on]) {
        await isLive(alice, published)
        const { length } = alice.heard
        replaceBy(server)
        // A session lives on in Redis, so another node can continue it. The deploy takes too long for that.
        if (mode === 'longpoll') await on.broadcaster.disconnect('everyone')
        await until('a gap', () => alice.heard.slice(length).some((text) => text.startsWith('gap')))
      }
      await isLive(alice, published)
      await published.stop()
      expectNoSilentLoss(await alice.hears(String(published.count)), published.count)
    },
  )

  it('over auto, when the client changes its transport together with the server', async () => {
    const page = fakePage()
    const { url, address, replaceBy } = await deployment()
    const network = { hasWebSockets: true }
    const options: ClientOptions = {
      mode: 'auto',
      WebSocket: class extends WebSocket {
        constructor() {
          super(network.hasWebSockets ? `ws://${address}/broadcast` : 'ws://127.0.0.1:1/')
        }
      },
    }
    const channel = channelName()
    const alice = await Visitor.come(url, channel, options)
    const published = publishNumbers(channel)
    for (const [server, hasWebSockets] of [
      [off, false],
      [on, true],
      [off, true],
      [on, false],
    ] as const) {
      await isLive(alice, published)
      const { length } = alice.heard
      network.hasWebSockets = hasWebSockets
      replaceBy(server)
      page.goOnline()
      const transport = hasWebSockets ? 'websocket' : 'longpoll'
      await until(`the client to use ${transport}`, () => alice.client.transport === transport)
      await until('a gap', () => alice.heard.slice(length).some((text) => text.startsWith('gap')))
    }
    await isLive(alice, published)
    await published.stop()
    expectNoSilentLoss(await alice.hears(String(published.count)), published.count)
  })

  it('over longpoll, when the session continues: no message is lost or doubled', async () => {
    const { url, replaceBy } = await deployment()
    const channel = channelName()
    const alice = await Visitor.come(url, channel, { mode: 'longpoll' })
    const published = publishNumbers(channel)
    for (const server of [off, on, off, on]) {
      await isLive(alice, published)
      replaceBy(server)
    }
    await isLive(alice, published)
    await published.stop()
    expectNoSilentLoss(await alice.hears(String(published.count)), published.count)
  })

  it('the client keeps its position if a server without the additions never answered its subscribe', async () => {
    const { url, replaceBy } = await deployment()
    const channel = channelName()
    let visits = 0
    const alice = await Visitor.come(url, channel, { mode: 'websocket' })
    alice.client.on('status', ({ to }) => {
      // The connection is authenticated and lost before the server has answered `subscribe`.
      if (to === 'connected' && ++visits === 1) replaceBy(on)
    })
    await on.publish(channel, '1')
    await alice.hears('1')
    replaceBy(off)
    await on.publish(channel, '2')
    expect(await alice.hears('2')).toEqual(['1', '2'])
  })
})
