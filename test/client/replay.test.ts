import { BroadcasterClient } from '@broadcaster/client'
import type { Message, TransportName } from '@broadcaster/client'
import { describe, expect, it, onTestFinished } from 'vitest'
import { channelName } from '../support/names.ts'
import { startRedis } from '../support/redis.ts'
import { startNodes, startServer, type TestServer } from '../support/server.ts'
import { tidy } from '../support/tidy.ts'
import { until, within } from '../support/waiting.ts'
import { connectWebSocket, hear, makeClient } from './scriptedServer.ts'
import { isDevelopment } from './sentence.ts'

const transports: TransportName[] = ['websocket', 'longpoll']
const numbers = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => `${from + index}`)

/** A handler that notes messages. `~1` is message 1, replayed. */
function notes() {
  const heard: string[] = []
  const handler = (body: string, { isReplayed }: Message) => void heard.push(isReplayed ? `~${body}` : body)
  const upTo = (last: string) => until(`message ${last}`, () => heard.includes(last)).then(() => heard)
  return Object.assign(handler, { heard, upTo })
}

/** A channel that has these messages on the server. */
async function channelWith(server: TestServer, bodies: readonly string[]): Promise<string> {
  const channel = channelName()
  const other = makeClient(server.url, { mode: 'websocket' })
  const theirs = notes()
  await other.subscribe(channel, theirs).ready
  for (const body of bodies) await server.publish(channel, body)
  await theirs.upTo(bodies.at(-1)!)
  return channel
}

describe.each(transports)('a subscription with `replay`, on %s', (mode) => {
  it('gets the newest messages first, in order, and each later one once', async () => {
    const server = tidy(await startServer())
    const channel = await channelWith(server, numbers(1, 30))
    const news = notes()
    await makeClient(server.url, { mode }).subscribe(channel, news, { replay: 3 }).ready
    await server.publish(channel, '31')
    expect(await news.upTo('31')).toEqual(['~28', '~29', '~30', '31'])
  })

  it('gets them also if the channel has other subscriptions, which miss nothing and get nothing twice', async () => {
    const server = tidy(await startServer())
    const channel = await channelWith(server, numbers(1, 5))
    const client = makeClient(server.url, { mode })
    const gaps = hear(client, 'gap')
    const live = notes()
    await client.subscribe(channel, live).ready
    let last = 5
    let isDone = false
    const publishing = (async () => {
      while (!isDone) {
        await server.publish(channel, String(++last))
        await new Promise(setImmediate)
      }
    })()
    onTestFinished(() => void (isDone = true))
    await live.upTo('20')
    const late = [notes(), notes(), notes()]
    for (const [i, handler] of late.entries()) {
      client.subscribe(channel, handler, { replay: 4 + i })
      await until('later messages', () => handler.heard.length > 10)
    }
    isDone = true
    await publishing
    await server.publish(channel, 'end')
    expect(await live.upTo('end')).toEqual([...numbers(6, last), 'end'])
    for (const [i, handler] of late.entries()) {
      const heard = (await handler.upTo('end')).slice(0, -1)
      const replayed = heard.filter((body) => body.startsWith('~'))
      expect(replayed).toHaveLength(4 + i)
      const bodies = heard.map((body) => body.replace('~', ''))
      expect(bodies, 'replayed messages and later ones').toEqual(numbers(Number(bodies[0]), last))
    }
    expect(gaps.pending).toEqual([])
  })

  it('asks once for subscriptions that begin together, and gives each as many as it asked for', async () => {
    const server = tidy(await startServer())
    const channel = await channelWith(server, numbers(1, 9))
    const client = makeClient(server.url, { mode })
    const [none, two, five] = [notes(), notes(), notes()]
    client.subscribe(channel, two, { replay: 2 })
    client.subscribe(channel, none)
    await client.subscribe(channel, five, { replay: 5 }).ready
    await server.publish(channel, '10')
    expect(await none.upTo('10')).toEqual(['10'])
    expect(await two.upTo('10')).toEqual(['~8', '~9', '10'])
    expect(await five.upTo('10')).toEqual(['~5', '~6', '~7', '~8', '~9', '10'])
  })

  it('gets them once, also after the connection was lost', async () => {
    const server = tidy(await startServer())
    const channel = await channelWith(server, numbers(1, 5))
    const client = makeClient(server.url, { mode })
    const gaps = hear(client, 'gap')
    const news = notes()
    await client.subscribe(channel, news, { replay: 2 }).ready
    await client.disconnect()
    await server.publish(channel, '6')
    await client.connect()
    await server.publish(channel, '7')
    expect(await news.upTo('7')).toEqual(['~4', '~5', '6', '7'])
    expect(gaps.pending).toEqual([])
  })

  it('gets the rest of them if its handler reconnects in the middle', async () => {
    const server = tidy(await startServer())
    const channel = await channelWith(server, numbers(1, 9))
    const client = makeClient(server.url, { mode })
    const news = notes()
    const handler = (body: string, message: Message) => {
      news(body, message)
      if (body !== '7') return
      void client.disconnect()
      void client.connect()
    }
    client.subscribe(channel, handler, { replay: 4 })
    await news.upTo('~9')
    await server.publish(channel, '10')
    expect(await news.upTo('10')).toEqual(['~6', '~7', '~8', '~9', '10'])
  })

  it('gets them from another node', async () => {
    const cluster = tidy(await startNodes(2, { redis: tidy(await startRedis()).url }))
    const [one, other] = cluster.nodes as [TestServer, TestServer]
    const channel = await channelWith(one, numbers(1, 5))
    const news = notes()
    await makeClient(other.url, { mode }).subscribe(channel, news, { replay: 2 }).ready
    await one.publish(channel, '6')
    expect(await news.upTo('6')).toEqual(['~4', '~5', '6'])
  })

  it('can be a loop', async () => {
    const server = tidy(await startServer())
    const channel = await channelWith(server, numbers(1, 5))
    const heard: (string | undefined)[] = []
    for await (const message of makeClient(server.url, { mode }).messages(channel, { replay: 2 })) {
      heard.push(message.body)
      expect(message.isReplayed).toBe(true)
      if (heard.length === 2) break
    }
    expect(heard).toEqual(['4', '5'])
  })

  it('works as one without, if the server has no recovery', async () => {
    const server = tidy(await startServer({ recovery: false }))
    const channel = await channelWith(server, numbers(1, 5))
    const client = makeClient(server.url, { mode })
    const [first, second] = [notes(), notes()]
    await client.subscribe(channel, first, { replay: 2 }).ready
    await client.subscribe(channel, second, { replay: 2 }).ready
    await server.publish(channel, '6')
    expect(await first.upTo('6')).toEqual(['6'])
    expect(await second.upTo('6')).toEqual(['6'])
  })
})

describe('a subscription with `replay`', () => {
  const ok = (fields: object = {}) => ({ __type: 'subscribeOk', channel: 'news', position: 'p9', ...fields })
  const message = (body: string, position: string) => ({ __type: 'message', channel: 'news', body, position })

  it('gets no older messages after its handler has disconnected the client', async () => {
    const { client, socket } = await connectWebSocket({}, { __v: 2 })
    const heard: string[] = []
    client.subscribe(
      'news',
      (body) => {
        heard.push(body)
        void client.disconnect()
      },
      { replay: 3 },
    )
    expect(await socket.next()).toEqual({ __type: 'subscribe', channel: 'news', history: 3 })
    socket.send(
      ok({
        history: [
          ['1', 'p1'],
          ['2', 'p2'],
          ['3', 'p3'],
        ],
      }),
      message('4', 'p10'),
    )
    await until('the end', () => client.status === 'disconnected')
    expect(heard).toEqual(['1'])
  })

  it('asks again with its position, and delivers what arrives meanwhile to all', async () => {
    const { client, socket } = await connectWebSocket({}, { __v: 2 })
    const [live, late] = [notes(), notes()]
    client.subscribe('news', live)
    await socket.next()
    socket.send(ok(), message('1', 'p10'))
    await live.upTo('1')
    client.subscribe('news', late, { replay: 1 })
    expect(await socket.next()).toEqual({ __type: 'subscribe', channel: 'news', position: 'p10', history: 1 })
    socket.send(message('2', 'p11'), ok({ position: 'p11', history: [['1', 'p10']] }), message('3', 'p12'))
    expect(await live.upTo('3')).toEqual(['1', '2', '3'])
    expect(late.heard).toEqual(['~1', '2', '3'])
  })

  it('gets no later messages before the older ones, if it begins while another subscription is not confirmed', async () => {
    const { client, socket } = await connectWebSocket({}, { __v: 2 })
    const [live, late] = [notes(), notes()]
    client.subscribe('news', live)
    await socket.next()
    const { ready } = client.subscribe('news', late, { replay: 2 })
    let isReady = false
    void ready.then(() => (isReady = true))
    // This message overtakes the answer, as it may on long-poll.
    socket.send(message('1', 'p10'), ok())
    expect(await socket.next()).toEqual({ __type: 'subscribe', channel: 'news', position: 'p10', history: 2 })
    expect([live.heard, late.heard, isReady]).toEqual([['1'], [], false])
    const history = [
      ['0', 'p9'],
      ['1', 'p10'],
    ]
    socket.send(ok({ position: 'p10', history }), message('2', 'p11'))
    expect(await live.upTo('2')).toEqual(['1', '2'])
    expect(late.heard).toEqual(['~0', '~1', '2'])
    await ready
  })

  it('does not ask a server for ever that sends no older messages', async () => {
    const { client, socket } = await connectWebSocket({}, { __v: 2 })
    const news = notes()
    client.subscribe('news', news, { replay: 1 })
    await socket.next()
    socket.send(ok(), message('1', 'p10'))
    expect(await news.upTo('1')).toEqual(['1'])
    void client.unsubscribe('news')
    expect(await socket.next()).toEqual({ __type: 'unsubscribe', channel: 'news' })
  })

  const wrong = isDevelopment ? [-1, 1.5, '3', Number.NaN] : []
  it.each(wrong)('refuses a number of messages like %s', (replay) => {
    const client = new BroadcasterClient('http://127.0.0.1:1')
    expect(() => client.subscribe('news', () => {}, { replay: replay as number })).toThrow(/replay/)
  })

  it('may end before the answer', async () => {
    const { client, socket } = await connectWebSocket({}, { __v: 2 })
    const [live, late] = [notes(), notes()]
    client.subscribe('news', live)
    await socket.next()
    socket.send(ok())
    await until('the answer', () => client.status === 'connected')
    const end = client.subscribe('news', late, { replay: 2 })
    await within(socket.next(), 'the request')
    end()
    socket.send(ok({ history: [['1', 'p1']] }), message('2', 'p10'))
    expect(await live.upTo('2')).toEqual(['2'])
    expect(late.heard).toEqual([])
  })
})
