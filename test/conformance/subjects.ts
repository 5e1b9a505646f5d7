import { accept, type BroadcasterOptions } from '@broadcaster/server'
import type { TestOptions } from 'vitest'
import { startInMemoryServer } from '../support/inMemoryServer.ts'
import { onlyIf } from '../support/onlyIf.ts'
import { publisherTo } from '../support/publisher.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { startRedisCluster, type TestRedisCluster } from '../support/redisCluster.ts'
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
  /** Stops what the servers had in common. */
  readonly end?: () => Promise<void>
  /** It has no sockets, and so no rules about HTTP, about pings and about the size of a frame. */
  readonly isInMemory?: boolean
}

/** Options of a test that needs other settings than those of the suite. */
export function otherSettings(kind: Kind): TestOptions {
  return onlyIf(kind.startWith, 'a server that the suite starts itself, with other settings')
}

/** Options of a test about what the server does with sockets. */
export function ownSockets(kind: Kind): TestOptions {
  return onlyIf(!kind.isInMemory, 'a server with sockets of its own')
}

// V2: keys that begin with `__` do not arrive here. Otherwise every client with the additions would be refused.
const isAllowed = (auth: Record<string, unknown>): boolean =>
  !(settings.refusedKey in auth) && !Object.keys(auth).some((key) => key.startsWith('__'))

/** When the credentials end; `null` for never. */
const endOf = ({ [settings.lifeKey]: lifeMs }: Record<string, unknown>): number | null =>
  typeof lifeMs === 'number' ? Date.now() + lifeMs : null

const canConnect = (auth: Record<string, unknown>) => {
  const expiresAt = endOf(auth)
  return expiresAt === null ? isAllowed(auth) : accept(true, { expiresAt })
}

const options: BroadcasterOptions = {
  canConnect,
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

export const twoNodes: Kind = twoNodesOn('', startRedis)

/** @param of The name of the server for which `start` starts a Redis. */
export function twoNodesOn(of: string, start: () => Promise<TestRedis>): Kind {
  const kind: Kind = {
    name: `two nodes behind a round-robin proxy${of === '' ? '' : `, on ${of}`}`,
    start: () => kind.startWith!({}),
    startWith: async (changes) => {
      const broker = await start()
      const cluster = await startNodes(2, merge({ ...changes, redis: broker.url }))
      return { ...cluster, close: () => cluster.close().finally(broker.stop) }
    },
  }
  return kind
}

/** To start a cluster takes longer than most tests. So the next server gets that of an earlier one, without its keys. */
const idleClusters: TestRedisCluster[] = []

export const redisCluster: Kind = {
  name: 'two nodes on a Redis Cluster',
  start: () => redisCluster.startWith!({}),
  startWith: async (changes) => {
    const broker = idleClusters.pop() ?? (await startRedisCluster())
    const redis = { cluster: broker.nodes, natMap: broker.natMap }
    const cluster = await startNodes(2, merge({ ...changes, redis }))
    const close = async () => {
      await cluster.close()
      await Promise.all((await broker.masters()).map((master) => master.ask('FLUSHALL')))
      idleClusters.push(broker)
    }
    return { ...cluster, close }
  },
  end: async () => {
    await Promise.all(idleClusters.splice(0).map((cluster) => cluster.stop()))
  },
}

export const inMemory: Kind = {
  name: 'the test broadcaster of @broadcaster/testing',
  isInMemory: true,
  start: () => {
    const { authBytes, channelBytes, channelsPerConnection } = settings
    const limits = { authBytes, channelBytes, channelsPerConnection }
    const ofTwin = (auth: Record<string, unknown>) => {
      const expiresAt = endOf(auth)
      return expiresAt === null ? isAllowed(auth) : { expiresAt }
    }
    return startInMemoryServer({ canConnect: ofTwin, limits }, settings.refusedChannel)
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
