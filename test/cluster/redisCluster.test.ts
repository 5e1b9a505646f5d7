import net from 'node:net'
import { Cluster, Redis, type RedisOptions } from 'ioredis'
import { Cluster as Cluster5 } from 'ioredis5'
import { HOLD } from '../../server/src/backends/beaconScripts.ts'
import { beforeAll, describe, expect, it } from 'vitest'
import { channelName } from '../support/names.ts'
import { startRedisCluster, type Member, type TestRedisCluster } from '../support/redisCluster.ts'
import { startNodes, type TestServer } from '../support/server.ts'
import { tidy } from '../support/tidy.ts'
import { Traffic } from '../support/traffic.ts'
import { until } from '../support/waiting.ts'
import { works } from '../support/works.ts'

/** All nodes receive and publish at the owner of the slot of this key. */
const KEY = 'bc:beaconNumber'

const health = async (server: TestServer) => (await fetch(`${server.url}/health`)).status
const isHealthy = (server: TestServer) => until('health 200', async () => (await health(server)) === 200)
const isUnhealthy = (server: TestServer) => until('health 503', async () => (await health(server)) === 503)

let cluster: TestRedisCluster
beforeAll(async () => {
  cluster = await startRedisCluster()
  return () => cluster.stop()
})

const target = () => ({ cluster: cluster.nodes, natMap: cluster.natMap })

/** Two nodes with clients on both transports at each, and on long-poll over both, while messages are published. */
async function start(redis: object = target()) {
  const nodes = tidy(await startNodes(2, { redis: redis as never, recovery: { maxMessages: 20_000 } }))
  const traffic = tidy(
    new Traffic(
      nodes.nodes.map(({ broadcaster }) => broadcaster),
      [channelName(), channelName()],
    ),
  )
  for (const { url } of nodes.nodes) await traffic.listen(url, 'websocket')
  await traffic.listen(nodes.url, 'longpoll')
  traffic.start()
  await traffic.arrives()
  return { nodes: nodes.nodes, traffic }
}

/** The ids of the connections of subscribers at a server. */
async function subscribers(member: Member): Promise<string[]> {
  const list = String(await member.ask('CLIENT', 'LIST', 'TYPE', 'pubsub'))
  return [...list.matchAll(/^id=(\d+)/gm)].map(([, id]) => id!)
}

describe('on a Redis Cluster, nothing is lost without a gap', () => {
  it('R5: if the connection of one node breaks: it recovers the messages from the other node', async () => {
    const { nodes, traffic } = await start()
    const owner = await cluster.owner(KEY)
    for (let round = 0; round < 3; round++) {
      const ids = await subscribers(owner)
      expect(ids, 'every node subscribes at the owner').toHaveLength(2)
      await owner.ask('CLIENT', 'KILL', 'ID', ids[round % 2]!)
      await until('a new connection', async () => {
        const now = await subscribers(owner)
        return now.length === 2 && now.join() !== ids.join()
      })
      for (const node of nodes) await isHealthy(node)
      await traffic.arrives()
    }
    expect(await traffic.faults()).toEqual([])
    expect(traffic.gaps().flat()).toEqual([])
  })

  it('R5: if all connections break', async () => {
    const { traffic } = await start()
    for (const member of cluster.members) await member.ask('CLIENT', 'KILL', 'TYPE', 'pubsub')
    await traffic.arrives()
    expect(await traffic.faults()).toEqual([])
  })

  it('R5: if the server of the order stands still for a while', async () => {
    const { nodes, traffic } = await start()
    const owner = await cluster.owner(KEY)
    owner.proxy.stall()
    for (const node of nodes) await isUnhealthy(node)
    owner.proxy.resume()
    owner.proxy.cut()
    for (const node of nodes) await isHealthy(node)
    await traffic.arrives()
    expect(await traffic.faults()).toEqual([])
  })

  it('R5: if the server of the order changes by a planned failover', async () => {
    const { nodes, traffic } = await start()
    const next = await cluster.failOver(await cluster.owner(KEY))
    await until('the nodes to follow', async () => (await subscribers(next)).length === 2)
    for (const node of nodes) await isHealthy(node)
    await traffic.arrives()
    expect(await traffic.faults()).toEqual([])
    for (const gaps of traffic.gaps()) expect(gaps).toEqual(['broker'])
  })

  it('R5: if the server of the order is killed', async () => {
    const { nodes, traffic } = await start()
    const old = await cluster.owner(KEY)
    await cluster.kill(old)
    for (const node of nodes) await isHealthy(node)
    await traffic.arrives()
    await cluster.revive(old)
    expect(await traffic.faults()).toEqual([])
  })

  it('R5: if the server of the order stands still, and its replica replaces it', async () => {
    const { nodes, traffic } = await start()
    const old = await cluster.owner(KEY)
    await cluster.freeze(old)
    for (const node of nodes) await isHealthy(node)
    await traffic.arrives()
    await cluster.revive(old)
    await traffic.arrives()
    expect(await traffic.faults()).toEqual([])
  })

  it('R5: if the slot of the order moves to another server, and back at once', async () => {
    const { nodes, traffic } = await start()
    const [from, to] = [await cluster.owner(KEY), await cluster.stranger(KEY)]
    await cluster.moveSlot(KEY, to)
    await until('the nodes to follow', async () => (await subscribers(to)).length === 2)
    await traffic.arrives()
    await cluster.moveSlot(KEY, from)
    await cluster.moveSlot(KEY, to)
    await cluster.moveSlot(KEY, from)
    await until('the nodes to return', async () => (await subscribers(from)).length === 2)
    for (const node of nodes) await isHealthy(node)
    await traffic.arrives()
    expect(await traffic.faults()).toEqual([])
  })
})

// The scripts of the server, which the package does not export.
describe('the run of a Redis Cluster', () => {
  const key = 'bc:{run}beaconNumber'
  const hold = async (): Promise<string> => {
    const owner = await cluster.owner(key)
    const [server, run] = (await owner.ask('EVAL', HOLD, '1', key, '0')) as [string, number]
    return `${server} ${run}`
  }

  it('lasts while the same server holds the slot, and is a new one if the slot was elsewhere in between', async () => {
    const [from, to] = [await cluster.owner(key), await cluster.stranger(key)]
    const first = await hold()
    expect(await hold()).toBe(first)
    await cluster.moveSlot(key, to)
    await hold()
    await cluster.moveSlot(key, from)
    const again = await hold()
    expect(again.split(' ')[0], 'the same process').toBe(first.split(' ')[0])
    expect(again, 'in another run').not.toBe(first)
  })

  it('is a new one if another server was the master in between', async () => {
    const old = await cluster.owner(key)
    const first = await hold()
    await cluster.settled()
    const next = await cluster.failOver(old)
    await cluster.settled()
    expect(await cluster.failOver(next)).toBe(old)
    await cluster.settled()
    const again = await hold()
    expect(again.split(' ')[0], 'the same process').toBe(first.split(' ')[0])
    expect(again, 'in another run').not.toBe(first)
  })
})

describe('on a Redis Cluster, a node', () => {
  it.each([
    ['6', Cluster],
    ['5', Cluster5 as unknown as typeof Cluster],
  ])('follows the order with an instance of ioredis %s', async (_, Class) => {
    const mine = new Class([...cluster.nodes], { natMap: cluster.natMap })
    tidy({ close: () => mine.disconnect() })
    const { nodes, traffic } = await start(mine)
    const next = await cluster.failOver(await cluster.owner(KEY))
    await until('the nodes to follow', async () => (await subscribers(next)).length === 2)
    for (const node of nodes) await works(node)
    expect(await traffic.faults()).toEqual([])
    for (const gaps of traffic.gaps()) expect(gaps).toEqual(['broker'])
  })

  it('uses only those settings of an instance that are about connections', async () => {
    const mine = new Cluster([...cluster.nodes], {
      natMap: cluster.natMap,
      scaleReads: 'slave',
      enableAutoPipelining: true,
      redisOptions: { keyPrefix: 'mine:', connectionName: 'mine', stringNumbers: true },
    })
    tidy({ close: () => mine.disconnect() })
    const nodes = tidy(await startNodes(2, { redis: mine }))
    for (const node of nodes.nodes) await works(node)
    for (const member of cluster.members) {
      const keys = (await member.ask('KEYS', '*')) as string[]
      expect(keys.filter((key) => !key.startsWith('bc:'))).toEqual([])
    }
  })

  it('returns after all servers were away, and delivers each message once', async () => {
    const { nodes, traffic } = await start()
    for (const { proxy } of cluster.members) {
      proxy.refuse()
      proxy.cut()
    }
    for (const node of nodes) await isUnhealthy(node)
    for (const { proxy } of cluster.members) proxy.resume()
    for (const node of nodes) await isHealthy(node)
    await traffic.arrives()
    expect(await traffic.faults()).toEqual([])
  })

  it('stays healthy while a server that does not own the slot of the order is away', async () => {
    const { nodes, traffic } = await start()
    const other = await cluster.stranger(KEY)
    other.proxy.refuse()
    other.proxy.cut()
    await traffic.arrives()
    for (const node of nodes) expect(await health(node)).toBe(200)
    other.proxy.resume()
    expect(await traffic.faults()).toEqual([])
    expect(traffic.gaps().flat()).toEqual([])
  })

  it('reaches the server of the order with the password of the Cluster, over connections of another form', async () => {
    const secured = await startRedisCluster({ password: 'hush' })
    tidy(secured)
    let connections = 0
    class Tunnel {
      connecting = false
      readonly #options: { readonly host: string; readonly port: number }
      #socket: net.Socket | null = null
      constructor(options: { readonly host: string; readonly port: number }) {
        this.#options = options
      }
      async connect() {
        connections += 1
        this.connecting = true
        this.#socket = net.connect(this.#options.port, this.#options.host)
        return this.#socket
      }
      check = () => true
      disconnect = () => void this.#socket?.destroy()
    }
    const redisOptions = { password: 'hush', Connector: Tunnel } as unknown as RedisOptions
    const redis = { cluster: secured.nodes, natMap: secured.natMap, redisOptions }
    // With a secret, nodes propose the numbers of beacons.
    const nodes = tidy(await startNodes(2, { redis, secret: 'a secret that nobody else knows at all' }))
    for (const node of nodes.nodes) await works(node)
    expect(await subscribers(await secured.owner(KEY))).toHaveLength(2)
    expect(connections).toBeGreaterThan(0)
  })

  it('receives what others PUBLISH at any server', async () => {
    const nodes = tidy(await startNodes(2, { redis: target() }))
    for (const { redis } of cluster.members) {
      const publisher = new Redis(redis.url)
      tidy({ close: () => publisher.disconnect() })
      for (const node of nodes.nodes) {
        await works({ ...node, publish: (channel, body) => publisher.publish(channel, body) })
      }
    }
  })
})
