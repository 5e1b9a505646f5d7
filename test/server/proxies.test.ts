import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { BroadcasterOptions } from '@broadcaster/server'
import { describe, expect, it } from 'vitest'
import { signIn } from '../support/connect.ts'
import { inFull } from '../support/extent.ts'
import { findHaproxy, startHaproxy } from '../support/haproxy.ts'
import { channelName } from '../support/names.ts'
import { findNginx, replaced, startNginx } from '../support/nginx.ts'
import { onlyIf } from '../support/onlyIf.ts'
import { startRedis } from '../support/redis.ts'
import { startServer } from '../support/server.ts'
import { tidy } from '../support/tidy.ts'
import { until } from '../support/waiting.ts'
import type { WebSocketPeer } from '../support/webSocketPeer.ts'

const page = readFileSync(join(import.meta.dirname, '../../docs/proxies.md'), 'utf8')

/** The configuration of the page in this language, for these nodes. */
function shown(
  language: string,
  nodes: readonly string[],
  idle: string,
  listen: Readonly<Record<string, string>>,
): string {
  const [, text] = new RegExp(`\`\`\`${language}\n(.*?)\`\`\``, 's').exec(page) ?? []
  if (text === undefined) throw new Error(`docs/proxies.md has no configuration of ${language}`)
  const ours = replaced(text, { '127.0.0.1:3001': nodes[0]!, '127.0.0.1:3002': nodes[1]!, ...listen })
  return ours.replaceAll('75s', idle)
}

const proxies = [
  {
    name: 'nginx',
    isThere: findNginx(),
    start: (nodes: readonly string[], idle: string) =>
      startNginx((port) => shown('nginx', nodes, idle, { 'listen 8080;': `listen 127.0.0.1:${port};` })),
  },
  {
    name: 'haproxy',
    isThere: findHaproxy(),
    start: (nodes: readonly string[], idle: string) =>
      startHaproxy((port) =>
        shown('haproxy', nodes, idle, { 'bind 127.0.0.1:8080': `bind 127.0.0.1:${port}` }),
      ),
  },
] as const

describe.each(inFull(proxies, proxies.slice(0, 1)))(
  'the configuration of docs/proxies.md for $name',
  ({ name, isThere, start }) => {
    async function startAll(options: BroadcasterOptions = {}, idle = '75s') {
      const redis = tidy(await startRedis())
      const all = { redis: redis.url, ...options }
      const nodes = [await startServer(all), await startServer(all)]
      for (const node of nodes) tidy(node)
      const { origin } = tidy(
        await start(
          nodes.map((node) => new URL(node.origin).host),
          idle,
        ),
      )
      const url = `${origin}/broadcast`
      await until('the proxy to serve a healthy node', async () => {
        const response = await fetch(`${url}/health`).catch(() => null)
        return response?.status === 200
      })
      return { nodes, proxied: { ...nodes[0]!, origin, url, wsUrl: url.replace('http', 'ws') } }
    }

    it.each(['websocket', 'longpoll'] as const)(
      'serves two nodes over %s',
      onlyIf(isThere, name),
      async (transport) => {
        const { nodes, proxied } = await startAll()
        const alice = await signIn(proxied, { transport, auth: { __v: 1 } })
        const channel = channelName()
        expect(await alice.subscribe(channel)).toMatchObject({ __type: 'subscribeOk', channel })
        for (const body of ['1', '2', '3', '4']) {
          await nodes[0]!.publish(channel, body)
          expect(await alice.next()).toMatchObject({ __type: 'message', channel, body })
        }
      },
    )

    // A refused handshake is repeated like every GET, so the essence is long-poll.
    it.each(inFull(['websocket', 'longpoll'] as const, ['longpoll'] as const))(
      'sends clients over %s to the other node while one drains',
      onlyIf(isThere, name),
      async (transport) => {
        const { nodes, proxied } = await startAll()
        // A client keeps the node draining.
        await signIn(nodes[0]!, { transport: 'websocket', auth: {} })
        const ended = nodes[0]!.broadcaster.close({ drain: 60_000 })
        tidy({ close: () => ended })
        await until(
          'the node to say 503',
          async () => (await fetch(`${nodes[0]!.url}/health`)).status === 503,
        )
        for (let i = 0; i < 6; i++) {
          const client = await signIn(proxied, { transport, auth: { __v: 1 } })
          const channel = channelName()
          expect(await client.subscribe(channel)).toMatchObject({ __type: 'subscribeOk', channel })
        }
      },
    )

    it(
      'keeps a silent WebSocket for longer than the proxy lets it be idle',
      onlyIf(isThere, name),
      async () => {
        const { nodes, proxied } = await startAll({ timeout: 250 }, '1s')
        const alice = (await signIn(proxied, { transport: 'websocket', auth: { __v: 1 } })) as WebSocketPeer
        const channel = channelName()
        await alice.subscribe(channel)
        // Eight pings take two seconds.
        for (let i = 0; i < 8; i++) await once(alice.socket, 'ping')
        await nodes[0]!.publish(channel, 'still here')
        expect(await alice.next()).toMatchObject({ channel, body: 'still here' })
      },
    )

    it(
      'closes a WebSocket that is idle for too long, if the pings are rarer',
      onlyIf(isThere, name),
      async () => {
        const { proxied } = await startAll({ timeout: 60_000 }, '1s')
        const alice = (await signIn(proxied, { transport: 'websocket', auth: { __v: 1 } })) as WebSocketPeer
        expect(await alice.closed).toMatchObject({ code: 1006 })
      },
    )
  },
)
