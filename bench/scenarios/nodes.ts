import { Redis } from 'ioredis'
import type { Scenario } from '../harness/scenario.ts'
import type { Subscribed } from '../generator/subscribers.ts'
import type { Figures } from '../harness/figures.ts'
import { messageFiguresOf, trafficOf } from '../harness/redisTraffic.ts'

type Kind = 'new channels' | 'shared channels' | 'storm' | 'one at a time' | 'messages'
type NodesCase = {
  name: string
  kind: Kind
  nodes: number
  seconds: number
  /** Used only in a storm. */
  clients: number
}

/** Subscriptions per second of the client on each node. This is below `limits.newChannelsPerSecond`. */
const RATE = 60
/** The same when one client of all nodes subscribes, and the cluster is idle otherwise. */
const IDLE_RATE = 10

const casesOf = (counts: readonly number[], seconds: number, clients: number): NodesCase[] =>
  (['new channels', 'shared channels', 'storm', 'one at a time', 'messages'] as const).flatMap((kind) =>
    counts.map((nodes) => ({
      name: `${kind}, ${nodes} ${nodes === 1 ? 'node' : 'nodes'}`,
      kind,
      nodes,
      seconds,
      clients,
    })),
  )

export const nodes: Scenario<NodesCase> = {
  name: 'nodes',
  about:
    'The messages between nodes through Redis; all nodes are in one process. On each node, a client subscribes to 60 channels a ' +
    'second: to channels that no node has, or to the same channels on all nodes. In a storm, 5,000 clients with a channel each ' +
    'reconnect to another node. One at a time: the latency when only one client subscribes, to 10 new channels a second. Messages: ' +
    '1,000 messages of 100 bytes a second on one channel of all nodes.',
  peers: ['broadcaster'],
  columns: [
    'redisBytesPerSubscribe',
    'redisCpuUsPerSubscribe',
    'publishesPerSubscribe',
    'p50',
    'p99',
    'gaps',
    'redisBytesPerMessage',
    'redisCpuUsPerMessage',
  ],
  cases: {
    smoke: casesOf([1, 2], 0.5, 50),
    quick: casesOf([2, 8], 3, 1000),
    full: casesOf([1, 2, 4, 8, 16, 32], 5, 5000),
  },
  point: ({ kind, nodes: x }) => ({ line: kind, x }),
  async run(session, { kind, nodes: count, seconds, clients }) {
    const ports = [session.server.port]
    while (ports.length < count) ports.push(await session.server.startAnotherNode())
    const redis = new Redis(session.redisUrl)
    try {
      if (kind === 'storm') {
        await session.generator.call('gather', { ports, clients })
        return await figuresOf(redis, () => session.generator.call('storm'))
      }
      if (kind === 'messages') {
        // Each node keeps the channel for some time after its client has left.
        await session.generator.call('subscribe', { ports, rate: RATE, seconds: 1 / RATE, isShared: true })
        return await messageFiguresOf(redis, ['shared-0'], seconds)
      }
      const load =
        kind === 'one at a time'
          ? { ports: ports.slice(0, 1), rate: IDLE_RATE, isShared: false }
          : { ports, rate: RATE, isShared: kind === 'shared channels' }
      return await figuresOf(redis, () => session.generator.call('subscribe', { ...load, seconds }))
    } finally {
      redis.disconnect()
    }
  },
}

async function figuresOf(redis: Redis, work: () => Promise<Subscribed>): Promise<Figures> {
  const before = await trafficOf(redis)
  const { subscriptions, p50, p99, gaps } = await work()
  const after = await trafficOf(redis)
  return {
    redisCpuUsPerSubscribe: (after.cpuUs - before.cpuUs) / subscriptions,
    redisBytesPerSubscribe: (after.sent - before.sent) / subscriptions,
    publishesPerSubscribe: (after.publishes - before.publishes) / subscriptions,
    p50,
    p99,
    gaps,
  }
}
