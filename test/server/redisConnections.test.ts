import net from 'node:net'
import { once } from 'node:events'
import { Duplex } from 'node:stream'
import { Cluster, Redis, type RedisOptions } from 'ioredis'
import { Redis as Redis5 } from 'ioredis5'
import { describe, expect, it } from 'vitest'
import { signIn } from '../support/connect.ts'
import { LongPollPeer } from '../support/longPollPeer.ts'
import { channelName } from '../support/names.ts'
import { startRedis } from '../support/redis.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { transports } from '../support/subject.ts'
import { tcpProxy } from '../support/tcpProxy.ts'
import { tidy } from '../support/tidy.ts'
import { until, within } from '../support/waiting.ts'

const health = async (server: TestServer) => (await fetch(`${server.url}/health`)).status
const isHealthy = (server: TestServer) => until('health 200', async () => (await health(server)) === 200)
const isUnhealthy = (server: TestServer) => until('health 503', async () => (await health(server)) === 503)

async function works(server: TestServer, publish: (channel: string, body: string) => Promise<unknown>) {
  for (const transport of transports) {
    const channel = channelName()
    const alice = await signIn(server, { transport })
    expect(await alice.subscribe(channel)).toMatchObject({ __type: 'subscribeOk' })
    await publish(channel, 'hello')
    expect(await alice.next()).toMatchObject({ body: 'hello' })
  }
  await server.broadcaster.stats()
}

/** A Redis behind a proxy, with the address of the proxy. */
async function proxied() {
  const redis = tidy(await startRedis())
  const proxy = tidy(await tcpProxy(redis.port))
  return { redis, proxy, url: `redis://${proxy.address}` }
}

/** Connections that become half-open: without FIN or RST, nothing arrives any more. New connections work. */
describe('half-open connections', () => {
  it('are all noticed and replaced', async () => {
    const { redis, proxy, url } = await proxied()
    const server = tidy(await startServer({ redis: url }))
    const channel = channelName()
    const alice = await signIn(server, { transport: 'websocket', auth: { __v: 1 } })
    await alice.subscribe(channel)
    for (let times = 1; times <= 2; times++) {
      proxy.swallow()
      await isUnhealthy(server)
      expect(await alice.next()).toMatchObject({ __type: 'gap', channel, reason: 'broker' })
      await isHealthy(server)
      await works(server, (name, body) => redis.cli('PUBLISH', name, body))
      await server.broadcaster.publish(channel, 'back')
      expect(await alice.next()).toMatchObject({ channel, body: 'back' })
    }
  })

  it('are noticed on both servers if there are two', async () => {
    const [data, pubSub] = [await proxied(), await proxied()]
    const server = tidy(await startServer({ redis: data.url, pubSub: pubSub.url }))
    for (const proxy of [data.proxy, pubSub.proxy, data.proxy]) {
      proxy.swallow()
      await isUnhealthy(server)
      await isHealthy(server)
      await works(server, (name, body) => pubSub.redis.cli('PUBLISH', name, body))
    }
  })

  it('make health 503 if only that for commands is dead, and no client has a gap', async () => {
    const { redis, proxy, url } = await proxied()
    const server = tidy(await startServer({ redis: url, pubSub: redis.url, timeout: 3000 }))
    const channel = channelName()
    const alice = await signIn(server, { transport: 'websocket', auth: { __v: 1 } })
    await alice.subscribe(channel)
    const bob = new LongPollPeer(server)
    await bob.auth()
    proxy.swallow()
    // Its commands are lost, and are repeated on the next connection.
    const poll = bob.poll()
    await isUnhealthy(server)
    await redis.cli('PUBLISH', channel, 'meanwhile')
    expect(await alice.next()).toMatchObject({ channel, body: 'meanwhile' })
    await isHealthy(server)
    expect((await bob.subscribe(channel)).__type).toBe('subscribeOk')
    expect([200, 503]).toContain((await poll).status)
    expect(server.logs.loud()).toEqual([])
  })

  it('are given up also when new connections are accepted but never answered', async () => {
    const { redis, proxy, url } = await proxied()
    const server = tidy(await startServer({ redis: url }))
    proxy.stall()
    await isUnhealthy(server)
    // Connection attempts that hang in their handshake. Each has to time out.
    const connections = proxy.connections
    await until('several attempts', () => proxy.connections >= connections + 4)
    const before = proxy.connections
    proxy.swallow()
    proxy.resume()
    await isHealthy(server)
    expect(proxy.connections).toBeGreaterThan(before)
    await works(server, (name, body) => redis.cli('PUBLISH', name, body))
  })

  it('are noticed with ioredis 5 too', async () => {
    const { redis, proxy } = await proxied()
    const mine = new Redis5({ host: '127.0.0.1', port: proxy.port, lazyConnect: true })
    const server = tidy(await startServer({ redis: mine as unknown as Redis }))
    proxy.swallow()
    await isUnhealthy(server)
    await isHealthy(server)
    await works(server, (name, body) => redis.cli('PUBLISH', name, body))
  })

  it('are noticed on a stream without a byte counter, such as a tunnel, and publish() works again', async () => {
    const { redis, proxy } = await proxied()
    class Tunnel {
      #socket: net.Socket | undefined
      check = () => true
      disconnect = () => void this.#socket?.destroy()
      async connect() {
        this.#socket = net.connect(proxy.port, '127.0.0.1')
        await once(this.#socket, 'connect')
        const stream = Duplex.from({ readable: this.#socket, writable: this.#socket })
        return Object.assign(stream, { setNoDelay: () => {}, setKeepAlive: () => {} })
      }
    }
    const target = { Connector: Tunnel } as unknown as RedisOptions
    const server = tidy(await startServer({ redis: target }))
    for (let times = 1; times <= 2; times++) {
      proxy.swallow()
      await isUnhealthy(server)
      await isHealthy(server)
      await works(server, (name, body) => redis.cli('PUBLISH', name, body))
      await server.broadcaster.publish('news', 'back')
    }
  })

  it('are noticed on a Cluster, and the node is unhealthy only if they lead to all servers', async () => {
    const { owner, other, server } = await startOnCluster()
    const channel = channelName()
    const alice = await signIn(server, { transport: 'websocket', auth: { __v: 1 } })
    await alice.subscribe(channel)
    const lose = ({ proxy }: typeof owner) => {
      proxy.swallow()
      proxy.refuse()
    }
    lose(owner)
    await until('the connections to be given up', () =>
      server.logs.lines.some(({ text }) => text.includes('does not respond')),
    )
    expect(await health(server)).toBe(200)
    lose(other)
    await isUnhealthy(server)
    owner.proxy.resume()
    other.proxy.resume()
    await isHealthy(server)
    await works(server, (name, body) => owner.redis.cli('PUBLISH', name, body))
    await owner.redis.cli('PUBLISH', channel, 'back')
    await until('the message', () => alice.pending.some(({ body }) => body === 'back'))
    expect(alice.pending.some(({ __type }) => __type === 'gap')).toBe(true)
  })

  it('do not make the node unhealthy on a Cluster, if they lead to the other server', async () => {
    const { other, server } = await startOnCluster()
    other.proxy.swallow()
    await until('the connection to be given up', async () => {
      expect(await health(server)).toBe(200)
      return server.logs.lines.some(({ text }) => text.includes('does not respond'))
    })
  })
})

/** Starts a server on a Cluster of two masters, each behind a proxy. The node begins with the first one. */
async function startOnCluster() {
  const nodes = await Promise.all(
    [0, 1].map(async () => {
      const redis = tidy(
        await startRedis({ args: ['--cluster-enabled', 'yes', '--cluster-node-timeout', '60000'] }),
      )
      return { redis, proxy: tidy(await tcpProxy(redis.port)) }
    }),
  )
  const [owner, other] = nodes as [(typeof nodes)[0], (typeof nodes)[0]]
  await owner.redis.cli('CLUSTER', 'ADDSLOTSRANGE', '0', '8191')
  await other.redis.cli('CLUSTER', 'ADDSLOTSRANGE', '8192', '16383')
  await owner.redis.cli('CLUSTER', 'MEET', '127.0.0.1', String(other.redis.port))
  for (const { redis } of nodes) {
    await until('the cluster to agree', async () =>
      (await redis.cli('CLUSTER', 'INFO')).includes('cluster_state:ok'),
    )
  }
  const natMap = Object.fromEntries(
    nodes.map(({ redis, proxy }) => [`127.0.0.1:${redis.port}`, { host: '127.0.0.1', port: proxy.port }]),
  )
  const mine = new Cluster([{ host: '127.0.0.1', port: owner.proxy.port }], { natMap, lazyConnect: true })
  tidy({ close: () => mine.disconnect() })
  return { owner, other, server: tidy(await startServer({ redis: mine })) }
}

describe('a Redis that closes idle clients', () => {
  it('with `timeout 1` closes none of ours, on either server', async () => {
    const [data, pubSub] = await Promise.all(
      [1, 2].map(async () => tidy(await startRedis({ args: ['--timeout', '1'] }))),
    )
    const server = tidy(await startServer({ redis: data!.url, pubSub: pubSub!.url }))
    const ids = async () => {
      const lists = await Promise.all([data!, pubSub!].map((redis) => redis.cli('CLIENT', 'LIST')))
      return lists.flatMap((list) =>
        (list.match(/\bid=\d+.*lib-name=ioredis|\bid=\d+.*cmd=(?!client)/g) ?? []).map(
          (line) => /id=\d+/.exec(line)![0],
        ),
      )
    }
    const before = await ids()
    expect(before).toHaveLength(3)
    // Meanwhile, Redis closes other idle clients, one after the other.
    for (let i = 0; i < 2; i++) {
      await Promise.all(
        [data!, pubSub!].map(({ port }) => once(net.connect(port, '127.0.0.1').resume(), 'close')),
      )
    }
    expect(await ids()).toEqual(before)
    expect(server.logs.loud()).toEqual([])
  })
})

describe('a connection for commands that was just lost', () => {
  it('makes commands wait for the next one, so no request, message or channel fails', async () => {
    const { redis, proxy, url } = await proxied()
    // The subscriptions are on another connection, which is not lost.
    const server = tidy(await startServer({ redis: url, pubSub: redis.url }))
    const alice = new LongPollPeer(server)
    await alice.auth()
    for (let round = 0; round < 5; round++) {
      proxy.cut()
      const channel = channelName()
      const answers = await Promise.all([
        signIn(server, { transport: 'longpoll' }),
        alice.subscribe(channel),
        alice.unsubscribe(channelName()),
        server.broadcaster.stats(),
        fetch(`${server.url}/health`).then(({ status }) => ({ __type: String(status) })),
      ])
      expect(answers[1]).toMatchObject({ __type: 'subscribeOk' })
      expect(answers[2]).toMatchObject({ __type: 'unsubscribeOk' })
      expect(answers[4], 'it is not an outage').toEqual({ __type: '200' })
    }
    expect(server.logs.loud()).toEqual([])
  })

  it('makes publish() wait for the next one, which duplicates and loses no message', async () => {
    const redis = tidy(await startRedis())
    const server = tidy(await startServer({ redis: redis.url }))
    const channel = channelName()
    const alice = await signIn(server, { transport: 'websocket', auth: { __v: 1 } })
    await alice.subscribe(channel)
    const losses = () =>
      server.logs.lines.filter(({ text }) => text.includes('A connection to Redis was lost')).length
    for (let round = 0; round < 5; round++) {
      await redis.cli('CLIENT', 'KILL', 'TYPE', 'normal')
      await until('the connection to be lost', () => losses() > round)
      await server.broadcaster.publish(channel, String(round))
      expect(await alice.next()).toMatchObject({ channel, body: String(round) })
    }
  })

  it('makes the node unhealthy until there is a next one', async () => {
    const { redis, proxy, url } = await proxied()
    const server = tidy(await startServer({ redis: url, pubSub: redis.url }))
    proxy.refuse()
    proxy.cut()
    await isUnhealthy(server)
    proxy.resume()
    await isHealthy(server)
  })

  it('makes commands wait for at most a second, and then requests fail at once', async () => {
    const redis = tidy(await startRedis())
    const server = tidy(await startServer({ redis: redis.url }))
    await redis.stop()
    await isUnhealthy(server)
    await expect(within(server.broadcaster.publish('news', 'x'), 'publish()')).rejects.toMatchObject({
      code: 'brokerUnavailable',
      message: 'There is no connection to Redis: nothing was sent',
    })
  })
})

describe('publish() whose connection breaks before the answer', () => {
  it('rejects, says that the result is unknown, and does not publish again', async () => {
    const { redis, proxy, url } = await proxied()
    const server = tidy(await startServer({ redis: url }))
    const witness = tidy(await startServer({ redis: redis.url }))
    const channel = channelName()
    const alice = await signIn(witness, { transport: 'websocket' })
    await alice.subscribe(channel)
    proxy.stall('down')
    const published = server.broadcaster.publish(channel, 'once')
    published.catch(() => {})
    expect(await alice.next()).toMatchObject({ body: 'once' })
    // The answer is lost, and the next connection works.
    proxy.swallow()
    proxy.resume()
    proxy.cut()
    await expect(within(published, 'publish()')).rejects.toMatchObject({
      code: 'brokerUnavailable',
      message: expect.stringContaining('it is unknown whether'),
    })
    await isHealthy(server)
    await server.broadcaster.publish(channel, 'twice')
    expect(await alice.next()).toMatchObject({ body: 'twice' })
  })
})
