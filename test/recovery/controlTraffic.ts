import { randomUUID } from 'node:crypto'
import type { BroadcasterOptions } from '@broadcaster/server'
import { Redis } from 'ioredis'
import { startRedis } from '../support/redis.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { tidy } from '../support/tidy.ts'
import { WebSocketPeer } from '../support/webSocketPeer.ts'

export type Control = { readonly to: string; readonly type: string; readonly [field: string]: unknown }

/** Nodes on one Redis, and what they tell each other. */
export async function start(count: number, options: BroadcasterOptions = {}) {
  const redis = tidy(await startRedis())
  const nodes: TestServer[] = []
  while (nodes.length < count) nodes.push(tidy(await startServer({ ...options, redis: redis.url })))
  const listener = new Redis(redis.url)
  tidy({ close: () => listener.disconnect() })
  const heard: Control[] = []
  await listener.psubscribe('broadcaster*', 'bc:node:*')
  const together: Control[] = []
  listener.on('pmessage', (_pattern, to, body: string) => {
    // A node that starts tests its rights with empty messages.
    if (body === '') return
    // The text of a beacon has no type, so that it is short.
    const message = { to, type: 'beacon', ...JSON.parse(body) } as Control & {
      readonly messages?: readonly Control[]
    }
    if (message.type === 'several') together.push(message)
    for (const each of message.messages ?? [message]) heard.push({ ...each, to })
  })
  const of = (type: string) => heard.filter((message) => message.type === type)
  const idOf = async (node: TestServer) => (await node.broadcaster.stats()).node.id
  return {
    redis,
    nodes,
    of,
    together,
    idOf,
    channelOf: async (node: TestServer) => `bc:node:${await idOf(node)}`,
  }
}

export const client = (name: string, generation: number, fields: object = {}) => ({
  __v: 2,
  __client: name,
  __generation: generation,
  ...fields,
})

export async function come(node: TestServer, auth: object) {
  const peer = await WebSocketPeer.connect(node)
  return { peer, authOk: await peer.auth(auth) }
}

/** Somebody who answers questions as a node does, with what a test says. */
export async function pretend(
  url: string,
  answer: (message: Control, say: (message: object) => Promise<void>) => void,
) {
  const node = randomUUID()
  const [subscriber, publisher] = [new Redis(url), new Redis(url)]
  tidy({ close: () => [subscriber, publisher].forEach((redis) => redis.disconnect()) })
  await subscriber.subscribe(`bc:node:${node}`)
  subscriber.on('message', (to, body: string) => {
    const message = JSON.parse(body) as Control
    const say = async (fields: object) => {
      await publisher.publish(
        `bc:node:${message['node'] as string}`,
        JSON.stringify({ v: 1, node, ...fields }),
      )
    }
    answer({ ...message, to }, (fields) => say({ id: message['id'], ...fields }))
  })
  return { node, subscriber, publisher }
}
