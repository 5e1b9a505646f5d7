import type { BroadcasterOptions } from '@broadcaster/server'
import type { TestOptions } from 'vitest'
import { onlyIf } from '../support/onlyIf.ts'
import { publisherTo } from '../support/publisher.ts'
import { startRedis } from '../support/redis.ts'
import { startRedisCluster } from '../support/redisCluster.ts'
import { startNodes, startServer } from '../support/server.ts'
import type { Subject } from '../support/subject.ts'
import { settings } from './settings.ts'

export type Stoppable = Subject & { close(): Promise<void> }

/** A kind of server that the suite tests. */
export type Kind = {
  readonly name: string
  /** Starts a server with the settings of the suite. */
  start(): Promise<Stoppable>
  /** Starts a server with other options. Missing for a server that is already running. */
  readonly startWith?: (changes: BroadcasterOptions) => Promise<Stoppable>
}

/** Options of a test that needs other settings than those of the suite. */
export function otherSettings(kind: Kind): TestOptions {
  return onlyIf(kind.startWith, 'a server that the suite starts itself, with other settings')
}

const options: BroadcasterOptions = {
  // V2: keys that begin with `__` do not arrive here. Otherwise every client with the additions would be refused.
  canConnect: (auth) =>
    !(settings.refusedKey in auth) && !Object.keys(auth).some((key) => key.startsWith('__')),
  canSubscribe: (_, channel) => channel !== settings.refusedChannel,
  controlChannel: settings.controlChannel,
  pollTime: settings.pollTime,
  recovery: { maxMessages: settings.maxMessages },
  limits: {
    messageBytes: settings.messageBytes,
    authBytes: settings.authBytes,
    channelBytes: settings.channelBytes,
    channelsPerConnection: settings.channelsPerConnection,
  },
}

function merge(changes: BroadcasterOptions): BroadcasterOptions {
  return { ...options, ...changes, limits: { ...options.limits, ...changes.limits } } as BroadcasterOptions
}

export const memory: Kind = {
  name: 'one process without Redis',
  start: () => memory.startWith!({}),
  startWith: (changes) => startServer(merge(changes)),
}

export const redis: Kind = {
  name: 'one node on Redis',
  start: () => redis.startWith!({}),
  startWith: async (changes) => {
    const broker = await startRedis()
    const server = await startServer(merge({ ...changes, redis: broker.url }))
    return { ...server, close: () => server.close().finally(broker.stop) }
  },
}

export const twoNodes: Kind = {
  name: 'two nodes behind a round-robin proxy',
  start: () => twoNodes.startWith!({}),
  startWith: async (changes) => {
    const broker = await startRedis()
    const cluster = await startNodes(2, merge({ ...changes, redis: broker.url }))
    return { ...cluster, close: () => cluster.close().finally(broker.stop) }
  },
}

export const redisCluster: Kind = {
  name: 'two nodes on a Redis Cluster',
  start: () => redisCluster.startWith!({}),
  startWith: async (changes) => {
    const broker = await startRedisCluster()
    const redis = { cluster: broker.nodes, natMap: broker.natMap }
    const cluster = await startNodes(2, merge({ ...changes, redis }))
    return { ...cluster, close: () => cluster.close().finally(broker.stop) }
  },
}

/** A running server. `CONFORMANCE_URL` is its address, and `CONFORMANCE_REDIS_URL` is its Redis. */
export function external(url: string, redisUrl: string): Kind {
  return {
    name: url,
    start: async () => {
      const publisher = publisherTo(redisUrl)
      return { url, publish: publisher.publish, close: async () => publisher.close() }
    },
  }
}
