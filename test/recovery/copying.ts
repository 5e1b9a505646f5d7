import type { BroadcasterOptions } from '@broadcaster/server'
import { startNodeProcess, type NodeProcess } from '../support/nodeProcess.ts'
import type { TestRedis } from '../support/redis.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { tcpProxy } from '../support/tcpProxy.ts'
import { tidy } from '../support/tidy.ts'
import { until } from '../support/waiting.ts'

type Options = Omit<BroadcasterOptions, 'redis' | 'recovery'>

/** A node in its own process, with two copies of each channel unless `copies` says otherwise. It can be killed. */
export async function copyingProcess(
  redis: { readonly url: string },
  { copies = 2, ...options }: Options & { readonly copies?: number } = {},
): Promise<NodeProcess> {
  return tidy(await startNodeProcess({ ...options, redis: redis.url, recovery: { copies } }))
}

/** The same in this process. */
export async function copyingNode(
  redis: { readonly url: string },
  { copies = 2, ...options }: Options & { readonly copies?: number } = {},
): Promise<TestServer> {
  return tidy(await startServer({ ...options, redis: redis.url, recovery: { copies } }))
}

type Holder = NodeProcess | TestServer

export async function statsOf(node: Holder) {
  return 'stats' in node ? node.stats() : node.broadcaster.stats()
}

/** Resolves when the node has this number of channels with clients, and other nodes have confirmed that they hold all of them. */
export async function untilCopied(node: Holder, channels = 1): Promise<void> {
  await until(`${channels} channels to be copied`, async () => {
    const { localSubscriptions, node: own } = await statsOf(node)
    return Object.keys(localSubscriptions).length === channels && own.uncopiedChannels === 0
  })
}

/** Resolves when this number of nodes is in the list of nodes at Redis. A node that starts later knows all of them. */
export async function untilAnnounced(redis: TestRedis, nodes: number): Promise<void> {
  const count = () => redis.cli('ZCARD', 'bc:living:broadcaster')
  await until(`${nodes} nodes to be announced`, async () => (await count()) === String(nodes))
}

/** The numbers of channels that the nodes hold for others. */
export async function copiesOn(nodes: readonly Holder[]): Promise<number[]> {
  return (await Promise.all(nodes.map(statsOf))).map(({ node }) => node.copiedChannels)
}

/** The number of nodes that are subscribed to the channel at Redis. */
export async function holders(redis: TestRedis, channel: string): Promise<number> {
  const reply = await redis.cli('PUBSUB', 'NUMSUB', channel)
  return Number(reply.trim().split('\n').at(-1))
}

const portOf = ({ url }: { readonly url: string }) => Number(new URL(url).port)

/** An address that leads to one node, and later to another one. */
export async function movableAddress(node: { readonly url: string }) {
  const proxy = tidy(await tcpProxy(portOf(node)))
  return {
    url: `http://${proxy.address}/broadcast`,
    close: () => proxy.refuse(),
    leadTo: (next: { readonly url: string }) => {
      proxy.retarget(portOf(next))
      proxy.resume()
    },
  }
}
