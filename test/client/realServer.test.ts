import { BroadcasterClient } from '@broadcaster/client'
import type { ClientOptions, TransportName } from '@broadcaster/client'
import { describe, expect, it, onTestFinished } from 'vitest'
import WebSocket from 'ws'
import { channelName } from '../support/names.ts'
import { startServer } from '../support/server.ts'
import { tcpProxy } from '../support/tcpProxy.ts'
import { tidy } from '../support/tidy.ts'
import { fakePage } from './fakeTime.ts'
import { collect, hear, makeClient, reaches } from './scriptedServer.ts'

const transports: TransportName[] = ['websocket', 'longpoll']
const numbers = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => `${from + index}`)

describe.each(transports)('with the server, on %s', (mode) => {
  it('every message arrives once and in order', async () => {
    const server = tidy(await startServer())
    const client = makeClient(server.url, { mode })
    const [name, other] = [channelName(), channelName()]
    const [one, two] = [collect(), collect()]
    await client.subscribe(name, one).ready
    await client.subscribe(other, two).ready
    expect(client.transport).toBe(mode)
    for (const body of numbers(1, 300)) {
      await server.publish(name, body)
      await server.publish(other, `other ${body}`)
    }
    expect(await one.take(300)).toEqual(numbers(1, 300))
    expect(await two.take(300)).toEqual(numbers(1, 300).map((body) => `other ${body}`))
    await client.unsubscribe(name)
    await server.publish(name, 'unheard')
    await server.publish(other, 'end')
    expect(await two.next()).toBe('end')
    expect(one.pending).toEqual([])
  })

  it('refused credentials are final until there are new ones', async () => {
    const server = tidy(await startServer({ canConnect: ({ token }) => token === 'good' }))
    let token = 'bad'
    const client = makeClient(server.url, { mode, auth: () => ({ token }) })
    await expect(client.connect()).rejects.toMatchObject({ code: 'unauthorized', message: 'Unauthorized' })
    token = 'good'
    await client.connect()
    expect(client.status).toBe('connected')
  })

  it('a channel that the server refuses has status refused', async () => {
    const server = tidy(await startServer({ canSubscribe: (_auth, channel) => channel !== 'secret' }))
    const client = makeClient(server.url, { mode })
    const subscription = client.subscribe('secret', () => {})
    await expect(subscription.ready).rejects.toMatchObject({ code: 'refused' })
    await client.subscribe(channelName(), () => {}).ready
  })

  it('messages that are published while the network is down arrive when it is back', async () => {
    const server = tidy(await startServer())
    const proxy = tidy(await tcpProxy(Number(new URL(server.origin).port)))
    const client = makeClient(`http://${proxy.address}/broadcast`, { mode })
    const gaps = hear(client, 'gap')
    const name = channelName()
    const news = collect()
    await client.subscribe(name, news).ready
    for (let round = 0; round < 5; round++) {
      const from = round * 20 + 1
      for (const body of numbers(from, from + 9)) await server.publish(name, body)
      proxy.cut()
      for (const body of numbers(from + 10, from + 19)) await server.publish(name, body)
    }
    expect(await news.take(100)).toEqual(numbers(1, 100))
    expect(gaps.pending).toEqual([])
    expect(news.pending).toEqual([])
  })

  it('a server restart causes a gap, and all channels are subscribed again', async () => {
    const first = await startServer()
    const port = Number(new URL(first.origin).port)
    const client = makeClient(first.url, { mode })
    const gaps = hear(client, 'gap')
    const name = channelName()
    const news = collect()
    const subscription = client.subscribe(name, news)
    await subscription.ready
    await first.close()
    await reaches(client, 'reconnecting')
    const second = tidy(await startServer({}, { port }))
    await gaps.take('a gap', ([gap]) => gap.channel === name)
    await subscription.ready
    await second.publish(name, 'hello again')
    expect(await news.next()).toBe('hello again')
  })

  it('without recovery every reconnection causes a gap', async () => {
    const server = tidy(await startServer({ recovery: false }))
    const proxy = tidy(await tcpProxy(Number(new URL(server.origin).port)))
    let session = 0
    const client = makeClient(`http://${proxy.address}/broadcast`, {
      mode,
      auth: () => ({ session: ++session }),
    })
    const gaps = hear(client, 'gap')
    const name = channelName()
    const news = collect()
    await client.subscribe(name, news).ready
    await server.publish(name, 'a')
    expect(await news.next()).toBe('a')
    void client.disconnect()
    await client.connect()
    expect(await gaps.take('a gap')).toEqual([{ channel: name, reason: 'node' }])
    await server.publish(name, 'b')
    expect(await news.next()).toBe('b')
  })

  it('a client that the application disconnects does not reconnect', async () => {
    const server = tidy(await startServer({ canConnect: ({ user }) => ({ user }) }))
    const client = makeClient(server.url, { mode, auth: { user: 'ada' } })
    await client.subscribe(channelName(), () => {}).ready
    await server.broadcaster.disconnect({ user: 'ada' })
    if (mode === 'websocket') {
      await reaches(client, 'disconnected')
      expect(client.error).toMatchObject({ code: 'disconnected' })
    } else {
      // Its session has ended. canConnect decides whether it may connect again.
      await reaches(client, 'reconnecting')
      await reaches(client, 'connected')
    }
  })

  it('a channel that the application unsubscribes has status refused', async () => {
    const server = tidy(await startServer({ canConnect: ({ user }) => ({ user }) }))
    const client = makeClient(server.url, { mode, auth: { user: 'ada' } })
    const name = channelName()
    const refused = new Promise((resolve) => {
      const subscription = client.subscribe(name, () => {}, {
        onStatus: (status, error) => status === 'refused' && resolve(error),
      })
      void subscription.ready.then(() => server.broadcaster.unsubscribe({ user: 'ada' }, name))
    })
    expect(await refused).toMatchObject({ code: 'unsubscribed' })
  })
})

describe('with the server, while the transport changes', () => {
  /** A network on which WebSockets work only part of the time. */
  function fickleWebSocket() {
    const network = { lets: false, sockets: [] as WebSocket[] }
    class FickleWebSocket extends WebSocket {
      constructor(url: string) {
        super(network.lets ? url : 'ws://127.0.0.1:1/')
        network.sockets.push(this)
      }
    }
    return Object.assign(network, { WebSocket: FickleWebSocket })
  }

  it('no message is lost or doubled when the transport changes in both directions', async () => {
    const page = fakePage()
    const network = fickleWebSocket()
    const server = tidy(await startServer({ recovery: { maxMessages: 100_000 } }))
    const options: ClientOptions = { WebSocket: network.WebSocket }
    const client = new BroadcasterClient(server.url, options)
    onTestFinished(() => void client.disconnect())
    const gaps = hear(client, 'gap')
    const name = channelName()
    const news = collect()
    await client.subscribe(name, news).ready
    expect(client.transport).toBe('longpoll')

    let published = 0
    let isOver = false
    const publishing = (async () => {
      while (!isOver) {
        await server.publish(name, `${++published}`)
        // The logs must be able to keep the messages for the time of a change.
        await new Promise((resolve) => setTimeout(resolve, 1))
      }
    })()
    const transport = async (wanted: TransportName) => {
      while (client.transport !== wanted)
        await new Promise<void>((resolve) => client.once('status', () => resolve()))
    }
    for (let round = 0; round < 3; round++) {
      network.lets = true
      page.goOnline()
      await transport('websocket')
      network.lets = false
      network.sockets.at(-1)!.terminate()
      await transport('longpoll')
    }
    isOver = true
    await publishing
    expect(gaps.pending).toEqual([])
    expect(await news.take(published)).toEqual(numbers(1, published))
    expect(news.pending).toEqual([])
  })

  it('a 401 from middleware of the application is final on both transports', async () => {
    const server = tidy(
      await startServer(
        {},
        { before: (app) => app.use('/broadcast', (_request, response) => void response.sendStatus(401)) },
      ),
    )
    const client = makeClient(server.url)
    await expect(client.connect()).rejects.toMatchObject({
      code: 'unauthorized',
      message: 'HTTP 401',
    })
  })
})
