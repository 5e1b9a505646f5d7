import type { Logger } from '@broadcaster/server'
import { Cluster } from 'ioredis'
import { Cluster as Cluster5 } from 'ioredis5'
import { expect, it } from 'vitest'
import { slotOf } from '../../server/src/backends/slots.ts'
import { channelName } from '../support/names.ts'
import type { Member, TestRedisCluster } from '../support/redisCluster.ts'
import { startNodes, type TestServer } from '../support/server.ts'
import { tidy } from '../support/tidy.ts'
import { Traffic, type TrafficPublisher } from '../support/traffic.ts'
import { until } from '../support/waiting.ts'

export interface StartOptions {
  readonly redis?: object
  readonly channels?: readonly string[]
  readonly logger?: Logger
  /** Whether there is a client on long-poll. By default there is. */
  readonly longPoll?: boolean
  /** Further publishers. */
  readonly publishers?: readonly TrafficPublisher[]
}

/** What the tests of one file do with a Redis Cluster. */
export function onCluster(cluster: TestRedisCluster) {
  const target = () => ({ cluster: cluster.nodes, natMap: cluster.natMap })

  const channelAt = async (member: Member) => channelIn(new Set(await cluster.slots(member)))

  /** A client of this version for the nodes. */
  function instanceOf(Class: typeof Cluster): Cluster {
    const mine = new Class([...cluster.nodes], { natMap: cluster.natMap })
    tidy({ close: () => mine.disconnect() })
    return mine
  }

  /** Publishes with SPUBLISH, and with PUBLISH at the owner of the slot of the channel, in turn. */
  function programs(): TrafficPublisher[] {
    const client = instanceOf(Cluster)
    return [
      { publish: (channel, body) => client.spublish(channel, body) },
      {
        publish: (channel, body) =>
          client.eval("return redis.call('PUBLISH', KEYS[1], ARGV[1])", 1, channel, body),
      },
    ]
  }

  /**
   * Two nodes with clients on both transports at each, and on long-poll over both, while messages are published. By default,
   * there is a channel at each master.
   */
  async function start({
    redis = target(),
    channels,
    logger,
    publishers = [],
    longPoll = true,
  }: StartOptions = {}) {
    const options = { redis: redis as never, recovery: { maxMessages: 20_000 }, ...(logger && { logger }) }
    const nodes = tidy(await startNodes(2, options))
    const ofMasters = channels ?? (await Promise.all((await cluster.masters()).map(channelAt)))
    const publishing = [...nodes.nodes.map(({ broadcaster }) => broadcaster), ...publishers]
    const traffic = tidy(new Traffic(publishing, ofMasters))
    for (const { url } of nodes.nodes) await traffic.listen(url, 'websocket')
    if (longPoll) await traffic.listen(nodes.url, 'longpoll')
    traffic.start()
    await traffic.arrives()
    return { nodes: nodes.nodes, url: nodes.url, traffic, channels: ofMasters }
  }

  return { target, channelAt, instanceOf, programs, start }
}

/** A channel whose slot is one of these. */
export function channelIn(slots: ReadonlySet<number>): string {
  for (;;) {
    const name = channelName()
    if (slots.has(slotOf(name))) return name
  }
}

/** The ids of the connections of subscribers at a server. */
export async function subscribers(member: Member): Promise<string[]> {
  const list = String(await member.ask('CLIENT', 'LIST', 'TYPE', 'pubsub'))
  return [...list.matchAll(/^id=(\d+)/gm)].map(([, id]) => id!)
}

/** Expects one gap for each client in these channels, and none in the others. */
export function expectGaps(traffic: Traffic, all: readonly string[], affected: readonly string[]): void {
  for (const channel of all) {
    const expected = affected.includes(channel) ? ['broker'] : []
    for (const gaps of traffic.gaps(channel)) expect(gaps, channel).toEqual(expected)
  }
}

export const withBothVersions = it.each([
  ['6', Cluster],
  ['5', Cluster5 as unknown as typeof Cluster],
])

export const health = async (server: TestServer) => (await fetch(`${server.url}/health`)).status
export const isHealthy = (server: TestServer) =>
  until('health 200', async () => (await health(server)) === 200)
export const isUnhealthy = (server: TestServer) =>
  until('health 503', async () => (await health(server)) === 503)
