import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { signIn } from '../support/connect.ts'
import { channelName } from '../support/names.ts'
import { findNginx } from '../support/nginx.ts'
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
    const proxy = tidy(await startNginx(nodes.map(({ origin }) => new URL(origin).host)))

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
async function startNginx(
  nodes: readonly string[],
): Promise<{ url: string; wsUrl: string; close(): Promise<void> }> {
  const readme = await readFile(join(import.meta.dirname, '..', '..', 'README.md'), 'utf8')
  const shown = /```nginx\n([\s\S]*?)```/.exec(readme)?.[1]
  if (shown === undefined) throw new Error('The README contains no nginx configuration')
  const port = await freePort()
  const [first, second] = nodes
  const config = shown
    .replace('127.0.0.1:3001', first!)
    .replace('127.0.0.1:3002', second!)
    .replace('listen 8080;', `listen 127.0.0.1:${port};`)
  for (const part of [first!, second!, `127.0.0.1:${port}`]) expect(config).toContain(part)

  const dir = await mkdtemp(join(tmpdir(), 'broadcaster-nginx-'))
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${dir}/${name};`,
  )
  await writeFile(
    join(dir, 'nginx.conf'),
    `daemon off; pid ${dir}/pid; error_log ${dir}/error.log;
events {}
http { access_log off; ${paths.join(' ')}
${config}
}
`,
  )
  const nginx = spawn(findNginx() ?? 'nginx', ['-p', dir, '-c', join(dir, 'nginx.conf')], { stdio: 'ignore' })
  const url = `http://127.0.0.1:${port}/broadcast`
  await until('nginx to serve a healthy node', async () => {
    const response = await fetch(`${url}/health`).catch(() => null)
    return response?.status === 200
  })
  return {
    url,
    wsUrl: url.replace('http', 'ws'),
    close: async () => {
      nginx.kill('SIGQUIT')
      await once(nginx, 'exit')
      await rm(dir, { recursive: true, force: true })
    },
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
