import { describe, expect, it } from 'vitest'
import { HOLD } from '../../server/src/backends/beaconScripts.ts'
import { slotOf } from '../../server/src/backends/slots.ts'
import { signIn } from '../support/connect.ts'
import { startRedisCluster, type Member, type TestRedisCluster } from '../support/redisCluster.ts'
import { startNodes } from '../support/server.ts'
import { tidy } from '../support/tidy.ts'
import { until } from '../support/waiting.ts'
import { works } from '../support/works.ts'
import { channelIn, expectGaps, isHealthy, onCluster, subscribers, withBothVersions } from './onCluster.ts'

/** Slots get another server. */
export function slotTests(cluster: TestRedisCluster): void {
  const { target, channelAt, instanceOf, programs, start } = onCluster(cluster)

  describe('on a Redis Cluster, nothing is lost without a gap when slots get another server', () => {
    it('R5: if a server changes by a planned failover: one gap in its channels, none in others', async () => {
      const { nodes, traffic, channels } = await start()
      const [first] = await cluster.masters()
      const next = await cluster.failOver(first!)
      await until('the nodes to follow', async () => (await subscribers(next)).length === 2)
      for (const node of nodes) await works(node)
      await traffic.arrives()
      expect(await traffic.faults()).toEqual([])
      expectGaps(traffic, channels, [channels[0]!])
    })

    it('R5: if a server is killed: no gap in the channels of others', async () => {
      const { nodes, traffic, channels } = await start()
      const [, old] = await cluster.masters()
      await cluster.kill(old!)
      for (const node of nodes) await isHealthy(node)
      await traffic.arrives()
      await cluster.revive(old!)
      expect(await traffic.faults()).toEqual([])
      for (const channel of [channels[0]!, channels[2]!]) expect(traffic.gaps(channel).flat()).toEqual([])
    })

    it('R5: if a server stands still, and its replica replaces it', async () => {
      const { nodes, traffic, channels } = await start()
      const [, , old] = await cluster.masters()
      await cluster.freeze(old!)
      for (const node of nodes) await isHealthy(node)
      await traffic.arrives()
      await cluster.revive(old!)
      await traffic.arrives()
      expect(await traffic.faults()).toEqual([])
      for (const channel of channels.slice(0, 2)) expect(traffic.gaps(channel).flat()).toEqual([])
    })

    it('R5: if a server is taken out of the Cluster while nodes are connected to it, and its replica replaces it', async () => {
      const own = await startRedisCluster()
      tidy(own)
      const { nodes, traffic, channels } = await onCluster(own).start()
      const [, old] = await own.masters()
      const next = await own.expel(old!)
      await until('the nodes to follow', async () => (await subscribers(next)).length === 2)
      for (const node of nodes) await works(node)
      await traffic.arrives()
      expect(await traffic.faults()).toEqual([])
      for (const channel of [channels[0]!, channels[2]!]) expect(traffic.gaps(channel).flat()).toEqual([])
    })

    withBothVersions(
      'R5: if 150 slots move, with ioredis %s: one gap in the channels that move, none in others',
      async (_, Class) => {
        const [to, , from] = await cluster.masters()
        // Tools for resharding move the lowest slots first.
        const moved = (await cluster.slots(from!)).slice(0, 150)
        const staying = (await cluster.slots(from!)).slice(150)
        const moving = Array.from({ length: 8 }, () => channelIn(new Set(moved)))
        const others = [channelIn(new Set(staying)), await channelAt(to!)]
        const channels = [...moving, ...others]
        const [spublish] = programs()
        const publishers = [spublish!]
        const { nodes, traffic } = await start({ redis: instanceOf(Class), channels, publishers })
        await cluster.moveSlots(moved, from!, to!)
        await traffic.arrives()
        for (const node of nodes) await works(node)
        expect(await traffic.faults()).toEqual([])
        expectGaps(traffic, channels, moving)
        await cluster.moveSlots(moved, to!, from!)
      },
    )

    it('R5: if a slot moves to another server, and back at once', async () => {
      const { nodes, traffic, channels } = await start()
      const [from, to] = await cluster.masters()
      for (const owner of [to!, from!, to!, from!]) await cluster.moveSlot(channels[0]!, owner)
      await traffic.arrives()
      for (const node of nodes) await works(node)
      expect(await traffic.faults()).toEqual([])
      for (const channel of channels.slice(1)) expect(traffic.gaps(channel).flat()).toEqual([])
    })

    it('R5: if a slot is elsewhere for so short a time that no question notices it: there is a gap', async () => {
      const { nodes } = tidy(await startNodes(2, { redis: target() }))
      const [owner, other] = await cluster.masters()
      const channel = await channelAt(owner!)
      const alice = await signIn(nodes[0]!, { transport: 'websocket', auth: { __v: 1 } })
      await alice.subscribe(channel)
      const give = (to: Member) => owner!.ask('CLUSTER', 'SETSLOT', String(slotOf(channel)), 'NODE', to.id)
      await Promise.all([give(other!), give(owner!)])
      expect(await alice.next()).toMatchObject({ __type: 'gap', channel, reason: 'broker' })
    })

    it('R5: if the slot of the control channel of a server moves: no gap in the channels of a third server', async () => {
      const { nodes, traffic, channels } = await start()
      const [from, to, third] = await cluster.masters()
      const [control] = ((await from!.ask('PUBSUB', 'SHARDCHANNELS', 'bc:*}broadcaster')) as string[]) ?? []
      await cluster.moveSlot(control!, to!)
      await until('the nodes to use another control channel', async () => {
        const now = (await from!.ask('PUBSUB', 'SHARDCHANNELS', 'bc:*}broadcaster')) as string[]
        return now.length === 1 && now[0] !== control && (await subscribers(from!)).length === 2
      })
      await traffic.arrives()
      for (const node of nodes) await works(node)
      expect(await traffic.faults()).toEqual([])
      expect((await cluster.slots(third!)).includes(slotOf(channels[2]!))).toBe(true)
      expect(traffic.gaps(channels[2]!).flat()).toEqual([])
      await cluster.moveSlot(control!, from!)
    })
  })

  // The scripts of the server, which the package does not export.
  describe('the run of a server of a Redis Cluster', () => {
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

    it('depends on the key', async () => {
      const owner = await cluster.owner(key)
      const other = 'bc:{run}other'
      const answers = await Promise.all(
        [key, other].map(async (name) => (await owner.ask('EVAL', HOLD, '1', name, '0')) as [string, number]),
      )
      expect(answers[0]![0], 'the same process').toBe(answers[1]![0])
      expect(answers[0]![1], 'another run').not.toBe(answers[1]![1])
    })
  })
}
