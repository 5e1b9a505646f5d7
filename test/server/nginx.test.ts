import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { signIn } from '../support/connect.ts'
import { channelName } from '../support/names.ts'
import { replaced, startNginx, type Nginx } from '../support/nginx.ts'
import { startRedis } from '../support/redis.ts'
import { startServer } from '../support/server.ts'
import { tidy } from '../support/tidy.ts'
import { until } from '../support/waiting.ts'

it.each(['websocket', 'longpoll'] as const)(
  'the nginx configuration of the README serves two nodes over %s',
  async (transport) => {
    const redis = tidy(await startRedis())
    const nodes = [await startServer({ redis: redis.url }), await startServer({ redis: redis.url })]
    for (const node of nodes) tidy(node)
    const proxy = tidy(await startProxy(nodes.map(({ origin }) => new URL(origin).host)))

    const alice = await signIn({ ...nodes[0]!, ...proxy }, { transport, auth: { __v: 1 } })
    const channel = channelName()
    expect(await alice.subscribe(channel)).toMatchObject({ __type: 'subscribeOk', channel })
    for (const body of ['1', '2', '3', '4']) {
      await nodes[0]!.publish(channel, body)
      expect(await alice.next()).toMatchObject({ __type: 'message', channel, body })
    }
  },
)

/** nginx with the configuration of the README, on free ports. */
async function startProxy(nodes: readonly string[]): Promise<Nginx & { url: string; wsUrl: string }> {
  const readme = await readFile(join(import.meta.dirname, '..', '..', 'README.md'), 'utf8')
  const shown = /```nginx\n([\s\S]*?)```/.exec(readme)?.[1]
  if (shown === undefined) throw new Error('The README contains no nginx configuration')
  const nginx = await startNginx((port) =>
    replaced(shown, {
      '127.0.0.1:3001': nodes[0]!,
      '127.0.0.1:3002': nodes[1]!,
      'listen 8080;': `listen 127.0.0.1:${port};`,
    }),
  )
  const url = `${nginx.origin}/broadcast`
  await until('nginx to serve a healthy node', async () => {
    const response = await fetch(`${url}/health`).catch(() => null)
    return response?.status === 200
  })
  return { ...nginx, url, wsUrl: url.replace('http', 'ws') }
}
