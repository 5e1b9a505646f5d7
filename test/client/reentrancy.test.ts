import type { BroadcasterClient, StatusChange, Subscription, SubscriptionStatus } from '@broadcaster/client'
import { describe, expect, it } from 'vitest'
import { within } from '../support/waiting.ts'
import { withoutWaiting } from './fakeTime.ts'
import { ObligingServer } from './obligingServer.ts'
import { collect, hear, makeClient, reaches, until } from './scriptedServer.ts'

type Act = () => void
type Setup = {
  readonly client: BroadcasterClient
  readonly server: ObligingServer
  /** Subscribes news with these callbacks. */
  readonly subscribe: (callbacks: {
    onMessage?: Act
    onGap?: Act
    onStatus?: (status: SubscriptionStatus) => void
  }) => Subscription
}

/** Makes the client call `act` inside one of its callbacks. */
type Moment = (setup: Setup, act: Act) => Promise<unknown>

const message = { __type: 'message', channel: 'news', body: 'a' }
const gap = { __type: 'gap', channel: 'news', reason: 'node' }

const moments: Record<string, Moment> = {
  // `auth` is an option, so the test itself makes it call `act`.
  'the auth function': async ({ client }) => void client.connect(),
  'status: connecting': async ({ client }, act) => {
    client.on('status', ({ to }) => to === 'connecting' && act())
    void client.connect()
  },
  'status: connected': async ({ client }, act) => {
    client.on('status', ({ to }) => to === 'connected' && act())
    void client.connect()
  },
  'status: reconnecting': async ({ client, server, subscribe }, act) => {
    await subscribe({}).ready
    client.on('status', ({ to, retryInMs }) => to === 'reconnecting' && retryInMs !== undefined && act())
    server.close(1011)
  },
  'status: reconnecting, at the next attempt': async ({ client, server, subscribe }, act) => {
    await subscribe({}).ready
    client.on('status', ({ to, retryInMs }) => to === 'reconnecting' && retryInMs === undefined && act())
    server.close(1011)
  },
  'status: disconnected': async ({ client, server, subscribe }, act) => {
    await subscribe({}).ready
    client.on('status', ({ to }) => to === 'disconnected' && act())
    server.close(4403)
  },
  disconnected: async ({ client, server, subscribe }, act) => {
    await subscribe({}).ready
    client.on('disconnected', act)
    server.close(4403)
  },
  error: async ({ client, server, subscribe }, act) => {
    await subscribe({}).ready
    client.on('error', act)
    server.send({ __type: 'serverError', reason: 'Broker unavailable' })
  },
  message: async ({ client, server, subscribe }, act) => {
    await subscribe({}).ready
    client.on('message', act)
    server.send(message)
  },
  'message:news': async ({ client, server, subscribe }, act) => {
    await subscribe({}).ready
    client.on('message:news', act)
    server.send(message)
  },
  gap: async ({ client, server, subscribe }, act) => {
    await subscribe({}).ready
    client.on('gap', act)
    server.send(gap)
  },
  'the handler': async ({ server, subscribe }, act) => {
    await subscribe({ onMessage: act }).ready
    server.send(message)
  },
  'the handler, in a replay': async ({ client, server, subscribe }, act) => {
    server.recovery = {
      recovered: true,
      messages: [
        ['a', 'r1'],
        ['b', 'r2'],
      ],
    }
    await subscribe({ onMessage: act }).ready
    server.close(1011)
    await reaches(client, 'reconnecting')
  },
  onGap: async ({ server, subscribe }, act) => {
    await subscribe({ onGap: act }).ready
    server.send(gap)
  },
  'onGap, after a reconnection': async ({ server, subscribe }, act) => {
    server.recovery = { recovered: false, reason: 'expired' }
    await subscribe({ onGap: act }).ready
    server.close(1011)
  },
  'onStatus: subscribed': async ({ subscribe }, act) => {
    subscribe({ onStatus: (status) => status === 'subscribed' && act() })
  },
  'onStatus: subscribing': async ({ server, subscribe }, act) => {
    await subscribe({ onStatus: (status) => status === 'subscribing' && act() }).ready
    server.close(1011)
  },
  'onStatus: refused': async ({ server, subscribe }, act) => {
    await subscribe({ onStatus: (status) => status === 'refused' && act() }).ready
    server.send({ __type: 'unsubscribed', channel: 'news', reason: 'No longer' })
  },
  'onStatus: error': async ({ server, subscribe }, act) => {
    await subscribe({ onStatus: (status) => status === 'error' && act() }).ready
    server.close(4403)
  },
  'onStatus: subscribing, in connect()': async ({ client, server, subscribe }, act) => {
    let isConnecting = false
    await subscribe({ onStatus: () => isConnecting && act() }).ready
    server.close(4403)
    await reaches(client, 'disconnected')
    isConnecting = true
    void client.connect()
  },
}

const methods: Record<string, (client: BroadcasterClient, subscription?: Subscription) => unknown> = {
  'connect()': (client) => client.connect(),
  'disconnect()': (client) => client.disconnect(),
  'disconnect() and connect()': (client) => {
    void client.disconnect()
    return client.connect()
  },
  'subscribe() of the same channel': (client) => client.subscribe('news', () => {}),
  'subscribe() of another channel': (client) => client.subscribe('sport', () => {}),
  'unsubscribe()': (client) => client.unsubscribe('news'),
  'unsubscribe() and subscribe()': (client) => {
    void client.unsubscribe('news')
    return client.subscribe('news', () => {})
  },
  'the end of the subscription': (_client, subscription) => subscription?.(),
  'the end of a loop over messages()': async (client) => {
    const loop = client.messages('news')[Symbol.asyncIterator]()
    void loop.next()
    await loop.return?.()
  },
}

describe.each(Object.entries(moments))('called inside %s', (when, moment) => {
  it.each(Object.entries(methods))('%s works as it does outside', async (what, method) => {
    withoutWaiting()
    const server = await ObligingServer.start()
    let hasActed = false
    const act = () => {
      if (hasActed) return
      hasActed = true
      void method(client, subscription)
    }
    const client: BroadcasterClient = makeClient(server.url, {
      mode: 'websocket',
      auth: () => {
        if (when === 'the auth function') act()
        return {}
      },
    })
    const errors = hear(client, 'error')
    let subscription: Subscription | undefined

    await moment(
      {
        client,
        server,
        subscribe: ({ onMessage = () => {}, ...options }) => {
          // The callbacks of one subscription, and another subscription of the same channel.
          subscription = client.subscribe('news', onMessage, options)
          return subscription
        },
      },
      act,
    )
    const statuses: SubscriptionStatus[] = []
    const bodies = collect()
    const another = client.subscribe('news', bodies, { onStatus: (status) => statuses.push(status) })
    const changes: StatusChange[] = []
    client.on('status', (change) => changes.push(change))
    await until('the call', () => hasActed)
    const { ready } = another
    if (what === 'disconnect()') {
      expect(client.status).toBe('disconnected')
      await until('the end of the connection', () => server.connections === 0)
      expect(client.status).toBe('disconnected')
    }

    // The client works afterwards, whatever was called. (A refused channel is subscribed again on the next connection.)
    if (when === 'onStatus: refused') await client.disconnect()
    await within(client.connect(), 'the connection')
    const fresh = collect()
    await within(client.subscribe('news', fresh).ready, 'a new subscription')
    await until('one connection', () => server.connections === 1)
    server.send({ ...message, body: 'end' })
    await until('the end', () => fresh.pending.includes('end'))
    expect(fresh.pending.filter((body) => body === 'end')).toHaveLength(1)

    // A promise that was returned before is settled.
    await within(
      ready.catch(() => {}),
      'ready',
    )
    // Other listeners get all changes in order.
    if (statuses.length > 0 && !what.startsWith('unsubscribe()')) expect(statuses.at(-1)).toBe(another.status)
    expect(changes.slice(1).map(({ from }) => from)).toEqual(changes.slice(0, -1).map(({ to }) => to))
    expect(errors.pending.filter(([error]) => error.code === 'handler')).toEqual([])
    // Each channel is requested once per connection. (Except a channel whose subscription the server has ended.)
    if (when === 'onStatus: refused') return
    for (const requests of server.requests) {
      let isOn = false
      for (const request of requests.filter((text) => text.endsWith(' news'))) {
        if (request.startsWith('subscribe')) expect(isOn, `${requests}`).toBe(false)
        isOn = request.startsWith('subscribe')
      }
    }
  })
})
