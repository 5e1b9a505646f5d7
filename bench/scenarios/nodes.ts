import { Redis } from 'ioredis'
import type { Scenario } from '../harness/scenario.ts'
import type { Subscribed } from '../generator/subscribers.ts'
import type { Figures } from '../harness/figures.ts'

type Kind = 'new channels' | 'shared channels' | 'storm'
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

const casesOf = (counts: readonly number[], seconds: number, clients: number): NodesCase[] =>
  (['new channels', 'shared channels', 'storm'] as const).flatMap((kind) =>
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
    'The messages between nodes through Redis. On each node, a client subscribes to 60 channels a second: to channels that no ' +
    'node has, or to the same channels on all nodes. In a storm, 5,000 clients with a channel each reconnect to another node.',
  peers: ['broadcaster'],
  columns: ['redisBytesPerSubscribe', 'publishesPerSubscribe', 'p50', 'p99', 'gaps'],
  cases: {
    smoke: casesOf([1, 2], 0.5, 50),
    quick: casesOf([2, 8], 3, 1000),
    full: casesOf([1, 2, 4, 8, 16, 32], 5, 5000),
  },
  point: ({ kind, nodes: x }) => ({ line: kind, x }),
  async run(session, { kind, nodes: count, seconds, clients }) {
    const ports = [session.server.port]
    while (ports.length < count) ports.push((await session.startServer()).port)
    const redis = new Redis(session.redisUrl)
    try {
      if (kind === 'storm') {
        await session.generator.call('gather', { ports, clients })
        return await figuresOf(redis, () => session.generator.call('storm'))
      }
      const load = { ports, rate: RATE, isShared: kind === 'shared channels' }
      return await figuresOf(redis, () => session.generator.call('subscribe', { ...load, seconds }))
    } finally {
      redis.disconnect()
    }
  },
}

async function figuresOf(redis: Redis, work: () => Promise<Subscribed>): Promise<Figures> {
  const before = await usageOf(redis)
  const { subscriptions, p50, p99, gaps } = await work()
  const after = await usageOf(redis)
  return {
    redisBytesPerSubscribe: (after.bytes - before.bytes) / subscriptions,
    publishesPerSubscribe: (after.publishes - before.publishes) / subscriptions,
    p50,
    p99,
    gaps,
  }
}

/** The number of bytes that Redis has sent, and of messages that were published, also by scripts. */
async function usageOf(redis: Redis): Promise<{ bytes: number; publishes: number }> {
  const [stats, commands] = await Promise.all([redis.info('stats'), redis.info('commandstats')])
  const numberIn = (text: string, pattern: RegExp) => Number(pattern.exec(text)?.[1] ?? 0)
  return {
    bytes: numberIn(stats, /total_net_output_bytes:(\d+)/),
    publishes: numberIn(commands, /cmdstat_publish:calls=(\d+)/),
  }
}
