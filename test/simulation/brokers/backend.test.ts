import { expect, it } from 'vitest'
import type { BackendReceiver } from '../../../server/src/backends/backend.ts'
import { beaconScripts } from '../../../server/src/backends/beaconScripts.ts'
import { namesOfOnlyOrder } from '../../../server/src/backends/orderNames.ts'
import { Broker } from '../broker.ts'
import { Credentials } from '../credentials.ts'
import { Safety } from '../oracle.ts'
import { Random } from '../random.ts'
import { VirtualTime } from '../time.ts'
import { Counts, faultless, type World } from '../world.ts'
import { ClusterBackend } from './backend.ts'
import { RedisCluster } from './redisCluster.ts'
import { scriptOf } from './scripts.ts'

const channels = Array.from({ length: 20 }, (_, i) => `channel ${i}`)
const names = { namespace: 'bc:', controlChannel: 'broadcaster' }
const ignore = (): void => {}
const logger = { debug: ignore, info: ignore, warn: ignore, error: ignore }
const receiver: BackendReceiver = {
  opened: () => ({ message: ignore, up: ignore, down: ignore, moved: ignore }),
  closed: ignore,
  rearranged: () => true,
}

interface Started {
  readonly time: VirtualTime
  readonly cluster: RedisCluster
  readonly backend: ClusterBackend
}

/** Starts the backend of one node on a Redis Cluster of three masters. */
async function withBackend<T>(
  seed: number,
  meetingKey: string | null,
  use: (started: Started) => Promise<T>,
): Promise<T> {
  const random = new Random(seed)
  const time = new VirtualTime(() => random.next())
  try {
    const world: World = {
      random,
      counts: new Counts(),
      trace: null,
      conditions: faultless,
      safety: new Safety(),
      credentials: new Credentials(0),
      gap: ignore,
      fail: (who, what) => expect.fail(`${who}: ${what}`),
    }
    const data = new Broker(world, { controlChannel: 'data', sessionTimeoutMs: 1000, isMonitored: false })
    const cluster = new RedisCluster(world, { masters: 3, meetingKey, isSplit: false, channels })
    const backend = new ClusterBackend({ world, cluster, data, name: 'node', names, logger })
    backend.start(receiver).catch(ignore)
    const result = await use({ time, cluster, backend })
    await backend.close()
    return result
  } finally {
    time.end()
  }
}

/** The connections of a node break after this time. Returns the channels whose broker is not connected seconds later. */
function startWithBreak(afterMs: number): Promise<string[]> {
  return withBackend(afterMs, null, async ({ time, cluster, backend }) => {
    // Without a broker, this asks for the topology, before the Cluster is ready. It may fail.
    backend.publish(channels[0]!, 'hello').catch(ignore)
    setTimeout(() => {
      for (const { connections } of cluster.servers) for (const { socket } of connections) socket.reset()
    }, afterMs)
    await time.runUntil(4000)
    return channels.filter((channel) => backend.brokerOf(channel)?.isConnected !== true)
  })
}

it('a node whose connections break while it learns which servers there are gets a broker for each of them', async () => {
  // The answers of some servers have arrived at these times.
  for (let afterMs = 17; afterMs <= 24; afterMs++) {
    expect(await startWithBreak(afterMs), `after ${afterMs} ms`).toEqual([])
  }
})

it('a node at a meeting place counts no beacon of another server, which arrives over the bus', async () => {
  const { beaconKey, controlChannel, salt } = namesOfOnlyOrder(names)
  await withBackend(1, beaconKey, async ({ time, cluster, backend }) => {
    await time.runUntil(3000)
    const make = scriptOf(beaconScripts.meeting.make)!
    /** A beacon that the owner of the meeting place makes now. */
    const beacon = (): number => {
      const owner = cluster.ownerOf(cluster.slotOf(channels[0]!))!
      const args = [String(salt), '0', '0', controlChannel, '', '']
      const [n] = make.run(owner, beaconKey, args) as [string]
      return Number(n)
    }
    const broker = backend.brokerOf(channels[0]!)!
    expect(broker.counts(beacon())).toBe(true)
    cluster.changes.failOver(cluster.ownerOf(cluster.slotOf(channels[0]!))!)
    expect(broker.counts(beacon()), 'the node is still at the old server').toBe(false)
    await time.runUntil(8000)
    expect(broker.counts(beacon()), 'the node has followed').toBe(true)
  })
})

it('a node to which no server answers for seconds keeps its brokers', async () => {
  const { beaconKey } = namesOfOnlyOrder(names)
  await withBackend(1, beaconKey, async ({ time, cluster, backend }) => {
    await time.runUntil(3000)
    const broker = backend.brokerOf(channels[0]!)
    expect(broker).not.toBeNull()
    for (const { connections } of cluster.servers) for (const { socket } of connections) socket.stall(8000)
    await time.runUntil(12_000)
    expect(backend.brokerOf(channels[0]!)).toBe(broker)
  })
})

it('a node that is closed while no server answers does not look for the owner of a slot any longer', async () => {
  await withBackend(1, null, async ({ time, cluster, backend }) => {
    await time.runUntil(3000)
    for (const server of cluster.servers) server.stop()
    await time.runUntil(6000)
    await backend.close()
    await time.runUntil(60_000)
    expect(time.timers).toBe(0)
  })
})
