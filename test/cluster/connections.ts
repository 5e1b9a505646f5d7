import { describe, expect, it } from 'vitest'
import { ChaosNode } from '../chaos/node.ts'
import { movableAddress } from '../recovery/copying.ts'
import { Visitor } from '../recovery/visitor.ts'
import { signIn } from '../support/connect.ts'
import { collectLogs } from '../support/logs.ts'
import { channelName } from '../support/names.ts'
import type { TestRedisCluster } from '../support/redisCluster.ts'
import { freePort } from '../support/redisServer.ts'
import { startNodes } from '../support/server.ts'
import { tidy } from '../support/tidy.ts'
import { Traffic } from '../support/traffic.ts'
import { until } from '../support/waiting.ts'
import { health, isHealthy, onCluster, subscribers } from './onCluster.ts'

/** The connections of nodes break, and nodes end. */
export function connectionTests(cluster: TestRedisCluster): void {
  const { target, channelAt, programs, start } = onCluster(cluster)

  describe('on a Redis Cluster, nothing is lost without a gap when connections or nodes end', () => {
    it('R5: if a connection of one node breaks: it recovers the messages from the other node', async () => {
      const { nodes, traffic } = await start()
      const masters = await cluster.masters()
      for (const master of masters) {
        const ids = await subscribers(master)
        expect(ids, 'every node subscribes at every master').toHaveLength(2)
        await master.ask('CLIENT', 'KILL', 'ID', ids[masters.indexOf(master) % 2]!)
        await until('a new connection', async () => {
          const now = await subscribers(master)
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

    it('R5: if one server stands still for a while: the channels of the others go on', async () => {
      const logs = collectLogs()
      // The session of a long-poll client may be at the server that stands still.
      const { nodes, traffic, channels } = await start({ logger: logs.logger, longPoll: false })
      const [stalled] = await cluster.masters()
      const [, ...going] = channels
      stalled!.proxy.stall()
      try {
        const isNoticed = () => logs.loud().filter((text) => text.includes('Redis is away')).length === 2
        await until('both nodes to notice', isNoticed)
        for (const node of nodes) expect(await health(node)).toBe(200)
        await traffic.arrives(going)
      } finally {
        stalled!.proxy.resume()
        stalled!.proxy.cut()
      }
      await traffic.arrives()
      expect(await traffic.faults()).toEqual([])
      for (const channel of going) expect(traffic.gaps(channel).flat()).toEqual([])
    })

    it('R5: if messages come from publish(), SPUBLISH and PUBLISH at the owner, and a client moves', async () => {
      const { nodes, traffic, channels } = await start({ publishers: programs() })
      for (const channel of channels) {
        const auth = { __v: 1 }
        const before = await signIn(nodes[0]!, { transport: 'websocket', auth })
        const { position } = await before.subscribe(channel)
        await before.close()
        await traffic.arrives()
        const after = await signIn(nodes[1]!, { transport: 'websocket', auth })
        const answer = await after.subscribe(channel, { position })
        expect(answer).toMatchObject({ recovered: true })
        expect((answer['messages'] as unknown[]).length).toBeGreaterThan(0)
        await after.close()
      }
      expect(await traffic.faults()).toEqual([])
      expect(traffic.gaps().flat()).toEqual([])
    })

    it('R5: if a node is gone: its clients recover their messages from the other node', async () => {
      const { nodes } = tidy(await startNodes(2, { redis: target() }))
      const [gone, other] = nodes
      const channels = await Promise.all((await cluster.masters()).map(channelAt))
      const traffic = tidy(new Traffic([other!.broadcaster, ...programs()], channels))
      await traffic.listen(other!.url, 'websocket')
      const before = await signIn(gone!, { transport: 'websocket', auth: { __v: 1 } })
      const positions = new Map<string, unknown>()
      for (const channel of channels) positions.set(channel, (await before.subscribe(channel)).position)
      traffic.start()
      await traffic.arrives()
      await gone!.close()
      await traffic.arrives()
      const after = await signIn(other!, { transport: 'websocket', auth: { __v: 1 } })
      for (const [channel, position] of positions) {
        expect(await after.subscribe(channel, { position })).toMatchObject({ recovered: true })
      }
      expect(await traffic.faults()).toEqual([])
      expect(traffic.gaps().flat()).toEqual([])
    })

    it('R10: if a node is killed that alone had a channel, and there are two copies, there is no gap either', async () => {
      const nodes: ChaosNode[] = []
      while (nodes.length < 2) {
        const setup = { port: await freePort(), redis: target(), drainMs: 0, copies: 2, isVerbose: false }
        const node = new ChaosNode(setup, (what) => expect.fail(what))
        tidy({ close: () => node.kill() })
        await node.start()
        nodes.push(node)
      }
      const [killed, other] = nodes as [ChaosNode, ChaosNode]
      const channel = channelName()
      const address = await movableAddress(killed)
      const alice = await Visitor.come(address.url, channel, { mode: 'websocket' })
      const owner = await cluster.owner(channel)
      await owner.ask('PUBLISH', channel, '1')
      await alice.hears('1')
      const holders = async () => ((await owner.ask('PUBSUB', 'NUMSUB', channel)) as unknown[])[1]
      await until('the copy', async () => (await killed.uncopied()) === 0 && Number(await holders()) === 2)
      address.close()
      await killed.kill()
      await owner.ask('SPUBLISH', channel, '2')
      address.leadTo(other)
      expect(await alice.hears('2')).toEqual(['1', '2'])
    })
  })
}
