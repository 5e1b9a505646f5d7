import { Cluster, Redis, type RedisOptions } from 'ioredis'
import { readFile } from 'node:fs/promises'
import net from 'node:net'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { signIn } from '../support/connect.ts'
import { channelName } from '../support/names.ts'
import { startRedisCluster, type TestRedisCluster } from '../support/redisCluster.ts'
import { startNodes, startServer } from '../support/server.ts'
import { tidy } from '../support/tidy.ts'
import { until, within } from '../support/waiting.ts'
import { WebSocketPeer } from '../support/webSocketPeer.ts'
import { works } from '../support/works.ts'
import {
  expectGaps,
  health,
  isHealthy,
  isUnhealthy,
  onCluster,
  subscribers,
  withBothVersions,
} from './onCluster.ts'

/** A node on a Redis Cluster, and the rights that it needs. */
export function nodeTests(cluster: TestRedisCluster): void {
  const { target, channelAt, instanceOf, programs, start } = onCluster(cluster)

  describe('on a Redis Cluster, a node', () => {
    withBothVersions('follows a failover with an instance of ioredis %s', async (_, Class) => {
      const { nodes, traffic, channels } = await start({ redis: instanceOf(Class) })
      const [, second] = await cluster.masters()
      const next = await cluster.failOver(second!)
      await until('the nodes to follow', async () => (await subscribers(next)).length === 2)
      for (const node of nodes) await works(node)
      expect(await traffic.faults()).toEqual([])
      expectGaps(traffic, channels, [channels[1]!])
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

    it('stays healthy while one server is away, and serves the channels of the others', async () => {
      const masters = await cluster.masters()
      const channels = await Promise.all(masters.slice(1).map(channelAt))
      // The server may have the session of a client on long-poll.
      const { nodes, traffic } = await start({ channels, longPoll: false })
      masters[0]!.proxy.refuse()
      masters[0]!.proxy.cut()
      try {
        await traffic.arrives()
        for (const node of nodes) expect(await health(node)).toBe(200)
      } finally {
        masters[0]!.proxy.resume()
      }
      expect(await traffic.faults()).toEqual([])
      expect(traffic.gaps().flat()).toEqual([])
    })

    it('reaches the servers with the password of the Cluster, over connections of another form', async () => {
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
      for (const master of await secured.masters()) {
        await until('both nodes to subscribe', async () => (await subscribers(master)).length === 2)
      }
      expect(connections).toBeGreaterThan(0)
    })

    it('is refused if the option has the address of one of its servers', async () => {
      for (const { redis } of await cluster.masters()) {
        const server = tidy(await startServer({ redis: redis.url }, { ready: false }))
        await expect(within(server.broadcaster.ready(), 'ready()')).rejects.toMatchObject({
          code: 'brokerRefused',
          message: expect.stringContaining('use { cluster: [{ host, port }] }'),
        })
        const answer = await fetch(`${server.url}/health`)
        expect(answer.status).toBe(503)
        expect(await answer.json()).toMatchObject({ reason: 'Redis says MOVED' })
      }
    })

    it('receives what others PUBLISH or SPUBLISH at any server', async () => {
      const nodes = tidy(await startNodes(2, { redis: target() }))
      for (const { redis } of cluster.members) {
        const publisher = new Redis(redis.url)
        tidy({ close: () => publisher.disconnect() })
        for (const node of nodes.nodes) {
          await works({ ...node, publish: (channel, body) => publisher.publish(channel, body) })
        }
      }
      for (const { publish } of programs()) for (const node of nodes.nodes) await works({ ...node, publish })
    })

    it('A1: closes the old connection of a client on another node, whichever server is away', async () => {
      for (const master of await cluster.masters()) {
        const { nodes } = tidy(await startNodes(2, { redis: target() }))
        const auth = { __v: 1, __client: channelName('client') }
        const old = await WebSocketPeer.connect(nodes[1]!)
        await old.auth({ ...auth, __generation: 1 })
        let isClosed = false
        void old.closed.then(() => (isClosed = true))
        master.proxy.refuse()
        master.proxy.cut()
        try {
          await until('the old connection to be closed', async () => {
            const again = await WebSocketPeer.connect(nodes[0]!)
            await again.auth({ ...auth, __generation: 2 })
            await again.close()
            return isClosed
          })
          expect((await old.closed).code).toBe(4409)
        } finally {
          master.proxy.resume()
        }
      }
    })

    it('uses one server for all channels if the namespace has a hash tag', async () => {
      const nodes = tidy(await startNodes(2, { redis: target(), controlNamespace: '{mine}:' }))
      for (const node of nodes.nodes) await works(node)
      const counts = await Promise.all(
        (await cluster.masters()).map(async (m) => (await subscribers(m)).length),
      )
      expect(counts.toSorted()).toEqual([0, 0, 2])
    })
  })

  describe('the rights that a node needs on a Redis Cluster', () => {
    /** The commands of docs/security.md, for a user of the Cluster. */
    async function grant(user: string, without?: string): Promise<object> {
      const page = await readFile(join(import.meta.dirname, '../../docs/security.md'), 'utf8')
      const [, least] = /```sh\nredis-cli ACL SETUSER broadcaster ([^`]*)```/.exec(page)!
      const [, further] = /a Cluster\s+`([^`]*)`/.exec(page)!
      const rules = `${least} ${further}`.replaceAll(/[\\']/g, '').trim().split(/\s+/)
      const granted = rules.filter((rule) => rule !== without)
      expect(granted.length).toBe(rules.length - (without === undefined ? 0 : 1))
      for (const member of cluster.members) await member.ask('ACL', 'SETUSER', user, ...granted)
      return { ...target(), redisOptions: { username: user, password: 'hush' } }
    }

    it('are those of docs/security.md', async () => {
      const nodes = tidy(await startNodes(2, { redis: (await grant('least')) as never }))
      for (const node of nodes.nodes) {
        const channel = channelName('news')
        const alice = await signIn(node, { transport: 'websocket', auth: { __v: 1 } })
        await alice.subscribe(channel)
        await nodes.nodes[0]!.broadcaster.publish(channel, 'hello')
        expect(await alice.next()).toMatchObject({ body: 'hello' })
        expect(node.logs.loud()).toEqual([])
      }
    })

    it.each(['+spublish', '+ssubscribe', '+sunsubscribe', '+cluster|nodes'])(
      'without %s, ready() names it',
      async (right) => {
        const redis = await grant(`lacks${right.slice(-5)}`, right)
        const server = tidy(await startServer({ redis: redis as never }, { ready: false }))
        await expect(within(server.broadcaster.ready(), 'ready()')).rejects.toThrow(right)
      },
    )
  })
}
