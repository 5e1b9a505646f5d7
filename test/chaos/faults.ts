import { BroadcasterClient } from '@broadcaster/client'
import { WebSocket } from 'ws'
import { sleep, until, within } from '../support/waiting.ts'
import type { ChaosNode } from './node.ts'
import type { Random } from './random.ts'
import type { World } from './world.ts'

export type Fault = {
  readonly kind: string
  /** Whether another node still receives what is published, so that no client may be told of a gap. */
  readonly isCovered: boolean
  /** Resolves when the fault is over. Clients may still be reconnecting. `node` is the node to which the fault happens, if any. */
  run(world: World, random: Random, node: ChaosNode): Promise<void>
}

export const nodeFaults: readonly Fault[] = [
  {
    kind: 'node killed (kill -9)',
    isCovered: true,
    run: async (_, random, node) => {
      await node.kill()
      await sleep(random.between(0, 2000))
      await node.start()
    },
  },
  {
    kind: 'node drained (SIGTERM)',
    isCovered: true,
    run: async (_world, _random, node) => {
      await node.drain()
      await node.start()
    },
  },
  {
    kind: 'node stopped for a while (SIGSTOP)',
    isCovered: true,
    run: async (world, random, node) => {
      node.pause()
      await sleep(random.between(0, world.longestStallMs))
      node.resume()
      await node.untilHealthy()
    },
  },
  {
    kind: 'CLIENT KILL of one subscriber',
    isCovered: true,
    run: async (world, random) => {
      // Redis does not tell which node a connection belongs to.
      for (const node of world.nodes) await world.untilCovered(node)
      const list = await world.redis.cli('CLIENT', 'LIST', 'TYPE', 'pubsub')
      const ids = [...list.matchAll(/^id=(\d+)/gm)].map(([, id]) => id!)
      await world.redis.cli('CLIENT', 'KILL', 'ID', random.pick(ids))
    },
  },
  {
    kind: 'output buffer overrun of one node',
    isCovered: true,
    run: async (world, _, node) => {
      await overrun(world, [node])
      await node.untilHealthy()
    },
  },
  {
    kind: 'link to Redis cut',
    isCovered: true,
    run: async (world, random, node) => {
      const link = world.links[world.nodes.indexOf(node)]!
      link.refuse()
      link.cut()
      await sleep(random.between(0, 2000))
      link.resume()
      await node.untilHealthy()
    },
  },
  {
    kind: 'link to Redis stalled (half-open)',
    isCovered: true,
    run: async (world, _, node) => {
      const link = world.links[world.nodes.indexOf(node)]!
      link.stall()
      await until('the node to notice', async () => !(await node.isHealthy()), { ms: 60_000 })
      link.resume()
      await node.untilHealthy()
    },
  },
]

export const networkFaults: readonly Fault[] = [
  {
    kind: 'sockets cut',
    isCovered: true,
    run: async (world, random) => random.pick(world.networks).cut(),
  },
  {
    kind: 'sockets stalled',
    isCovered: true,
    run: async (world, random) => {
      const network = random.pick(world.networks)
      network.stall(random.pick(['up', 'down', undefined]))
      await sleep(random.between(0, world.longestStallMs))
      network.resume()
    },
  },
  {
    kind: 'sockets stalled, then cut',
    isCovered: true,
    run: async (world, random) => {
      const network = random.pick(world.networks)
      network.stall(random.pick(['up', 'down', undefined]))
      await sleep(random.between(0, world.longestStallMs))
      network.cut()
      network.resume()
    },
  },
]

export const brokerFaults: readonly Fault[] = [
  {
    kind: 'Redis restarted (kill -9, empty)',
    isCovered: false,
    run: async (world, random) => {
      await world.redis.stop()
      await sleep(random.between(0, 2000))
      await world.redis.start()
      await allHealthy(world)
    },
  },
  {
    kind: 'CLIENT KILL of all subscribers',
    isCovered: false,
    run: async (world) => {
      await world.redis.cli('CLIENT', 'KILL', 'TYPE', 'pubsub')
      await allHealthy(world)
    },
  },
  {
    kind: 'output buffer overrun of all nodes',
    isCovered: false,
    run: async (world) => {
      await overrun(world, world.nodes)
      await allHealthy(world)
    },
  },
]

export const sentinelFaults: readonly Fault[] = [
  {
    kind: 'failover (master killed)',
    isCovered: false,
    run: async (world) => {
      await world.sentinel.failoverByKill()
      await allHealthy(world)
    },
  },
  {
    kind: 'failover (by command)',
    isCovered: false,
    run: async (world) => {
      await world.sentinel.failoverByCommand()
      await allHealthy(world)
    },
  },
]

export const clusterFaults: readonly Fault[] = [
  {
    kind: 'Cluster: failover (by command)',
    isCovered: false,
    run: async (world, random) => {
      await world.cluster.failOver(random.pick(await world.cluster.masters()))
      await allHealthy(world)
      await world.cluster.settled()
    },
  },
  {
    kind: 'Cluster: failover (master killed)',
    isCovered: false,
    run: async (world, random) => {
      const master = random.pick(await world.cluster.masters())
      await world.cluster.kill(master)
      await allHealthy(world)
      await world.cluster.revive(master)
    },
  },
  {
    kind: 'Cluster: failover (master stopped, SIGSTOP)',
    isCovered: false,
    run: async (world, random) => {
      const master = random.pick(await world.cluster.masters())
      await world.cluster.freeze(master)
      await allHealthy(world)
      await world.cluster.revive(master)
    },
  },
  {
    kind: 'Cluster: 150 slots moved',
    isCovered: false,
    run: async (world, random) => {
      const masters = await world.cluster.masters()
      const from = random.pick(masters)
      const to = random.pick(masters.filter((master) => master !== from))
      const slots = await world.cluster.slots(from)
      const first = Math.floor(random.between(0, slots.length - 150))
      await world.cluster.moveSlots(slots.slice(first, first + 150), from, to)
      await allHealthy(world)
    },
  },
  {
    kind: 'Cluster: slot of a channel moved, and back',
    isCovered: false,
    run: async (world, random) => {
      const channel = random.pick(world.channels)
      const from = await world.cluster.owner(channel)
      await world.cluster.moveSlot(channel, await world.cluster.stranger(channel))
      await sleep(random.pick([0, 20, 500]))
      await world.cluster.moveSlot(channel, from)
      await allHealthy(world)
    },
  },
  {
    kind: 'Cluster: connections of all subscribers to a server cut',
    isCovered: false,
    run: async (world, random) => {
      await random.pick(await world.cluster.masters()).ask('CLIENT', 'KILL', 'TYPE', 'pubsub')
      await allHealthy(world)
    },
  },
]

function allHealthy(world: World): Promise<unknown> {
  return Promise.all(world.nodes.map((node) => node.untilHealthy()))
}

const OVERRUN_LIMIT = 'pubsub 524288 0 0'
const DEFAULT_LIMIT = 'pubsub 33554432 8388608 60'
let floods = 0

/** Makes Redis close subscribers that exceed the limit of its output buffer, with one message that is too large. */
async function overrun(world: World, nodes: readonly ChaosNode[]): Promise<void> {
  const { redis } = world
  const channel = `flood-${++floods}`
  const listeners = nodes.map((node) => new BroadcasterClient(node.url, { mode: 'websocket', WebSocket }))
  const flooded = new Promise<void>((resolve) => {
    // Redis closes all of them at the same time, so the first gap is enough.
    for (const listener of listeners) listener.on('gap', () => resolve())
  })
  const subscribed = listeners.map((listener) => listener.subscribe(channel, () => {}).ready)
  await within(Promise.all(subscribed), 'the flood channel')
  await redis.cli('CONFIG', 'SET', 'client-output-buffer-limit', OVERRUN_LIMIT)
  try {
    await redis.cli('EVAL', "return redis.call('PUBLISH', ARGV[1], string.rep('x', 1048576))", '0', channel)
    await within(flooded, 'Redis to drop the subscriber', 60_000)
  } finally {
    await redis.cli('CONFIG', 'SET', 'client-output-buffer-limit', DEFAULT_LIMIT)
    for (const listener of listeners) void listener.disconnect()
  }
}
