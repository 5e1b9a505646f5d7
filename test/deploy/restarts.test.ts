import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { startDemoNode, type DemoNode, type DemoSetup } from '../support/demoNode.ts'
import { healthyClient } from '../support/healthyClient.ts'
import { channelName } from '../support/names.ts'
import { replaced, startNginx } from '../support/nginx.ts'
import { inFull, onlyFull } from '../support/extent.ts'
import { onlyIf } from '../support/onlyIf.ts'
import { publisherTo } from '../support/publisher.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { freePort } from '../support/redisServer.ts'
import { tidy } from '../support/tidy.ts'
import { Traffic } from '../support/traffic.ts'
import { sleep } from '../support/waiting.ts'
import { startDns } from './dns.ts'
import { startCluster } from './nodeCluster.ts'
import { installPm2 } from './pm2.ts'

const deploy = join(import.meta.dirname, '..', '..', 'deploy')

/** How long after a pod has begun to end Kubernetes still sends connections to it, and `preStop` of the pod. */
const [ENDPOINTS_MS, PRE_STOP_MS] = [1000, 2000]

async function startNode(setup: DemoSetup): Promise<DemoNode> {
  const node = await startDemoNode(setup)
  tidy({ stop: () => node.stop() })
  await node.healthy()
  return node
}

/**
 * Clients of both transports, and messages for them, while `restart` runs. It can wait until so many nodes have clients. Otherwise,
 * on a slow machine, a node may be gone before the others know the channel.
 */
async function serve(
  redis: TestRedis,
  url: string,
  restart: (areInUse: (nodes: number) => Promise<void>) => Promise<unknown>,
): Promise<{ faults: string[]; gaps: string[] }> {
  const publisher = tidy(publisherTo(redis.url))
  const channel = channelName()
  const traffic = tidy(new Traffic([publisher], [channel]))
  for (const mode of ['websocket', 'longpoll', 'websocket', 'longpoll'] as const) {
    await traffic.listen(url, mode)
  }
  traffic.start()
  await traffic.arrives()
  const nodesInUse = async () => Number((await redis.cli('PUBSUB', 'NUMSUB', channel)).split('\n')[1])
  await restart(async (nodes) => {
    // More clients come, until each node has one.
    while ((await nodesInUse()) < nodes) {
      tidy(await healthyClient(url, { mode: 'websocket', channel }))
      await sleep(100)
    }
  })
  await traffic.arrives()
  return { faults: await traffic.faults(), gaps: traffic.gaps().flat() }
}

const NOTHING = { faults: [], gaps: [] }

describe('Clients of both transports lose nothing', () => {
  it(
    'while Kubernetes replaces both pods: it removes an endpoint late, and its proxy repeats nothing',
    onlyFull,
    async () => {
      const redis = tidy(await startRedis())
      const start = async () => startNode({ redis: redis.url, port: await freePort() })
      let pods = [await start(), await start()]
      const configure = (port: number, endpoints: readonly DemoNode[]) => `
      upstream nodes { ${endpoints.map((node) => `server 127.0.0.1:${node.port} max_fails=0;`).join(' ')} }
      server {
        listen 127.0.0.1:${port};
        location / {
          proxy_pass http://nodes; proxy_http_version 1.1; proxy_buffering off;
          proxy_set_header Host $http_host;
          proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $http_connection;
          proxy_next_upstream off;
        }
      }`
      const ingress = tidy(await startNginx((port) => configure(port, pods)))
      const port = Number(new URL(ingress.origin).port)

      const lost = await serve(redis, `${ingress.origin}/broadcast`, async (areInUse) => {
        for (const old of pods) {
          const successor = await start()
          pods = [...pods.filter((pod) => pod !== old), successor]
          await ingress.reload(configure(port, [old, ...pods]))
          await areInUse(3)
          // From here on, `old` is about to end. Both of these begin at the same time.
          const removed = sleep(ENDPOINTS_MS).then(() => ingress.reload(configure(port, pods)))
          await Promise.all([removed, sleep(PRE_STOP_MS)])
          old.signal('SIGTERM')
          expect(await old.ended).toBe(0)
        }
      })
      expect(lost).toEqual(NOTHING)
    },
  )

  // Only Linux has 127.0.0.2.
  const isPossible = inFull(process.platform === 'linux', false)
  it(
    'while the containers of the compose file are replaced one after the other',
    onlyIf(isPossible, 'CI=1 and Linux'),
    async () => {
      const redis = tidy(await startRedis())
      const dns = tidy(await startDns())
      // As in Docker, the nodes have one port and different addresses.
      const port = await freePort()
      const start = (host: string) => startNode({ redis: redis.url, port, host })
      const nodes = new Map([
        ['127.0.0.2', await start('127.0.0.2')],
        ['127.0.0.3', await start('127.0.0.3')],
      ])
      dns.addresses = [...nodes.keys()]
      const shown = await readFile(join(deploy, 'nginx.conf'), 'utf8')
      const nginx = tidy(
        await startNginx((listen) =>
          replaced(shown, {
            'listen 8080;': `listen 127.0.0.1:${listen};`,
            '127.0.0.11': `127.0.0.1:${dns.port}`,
            'nodes:3000': `nodes:${port}`,
          }),
        ),
      )
      const lost = await serve(redis, `${nginx.origin}/broadcast`, async (areInUse) => {
        for (const [host, successor] of [
          ['127.0.0.2', '127.0.0.4'],
          ['127.0.0.3', '127.0.0.5'],
        ] as const) {
          await areInUse(2)
          const old = nodes.get(host)!
          nodes.delete(host)
          old.signal('SIGTERM')
          expect(await old.ended).toBe(0)
          // Docker knows the container under another address now.
          nodes.set(successor, await start(successor))
          dns.addresses = [...nodes.keys()]
        }
      })
      expect(lost).toEqual(NOTHING)
    },
  )

  it('while a primary of node:cluster replaces both workers, which share one port', async () => {
    const redis = tidy(await startRedis())
    const cluster = tidy(await startCluster(redis.url, await freePort()))
    const lost = await serve(redis, cluster.url, async (areInUse) => {
      for (let i = 0; i < 2; i++) {
        await areInUse(2)
        expect(await cluster.reload()).toBe(0)
      }
    })
    expect(lost).toEqual(NOTHING)
  })

  it('during pm2 reload of two processes in cluster mode', onlyFull, async () => {
    const redis = tidy(await startRedis())
    const port = await freePort()
    const pm2 = tidy(await installPm2({ REDIS_URL: redis.url, PORT: String(port) }))
    await pm2.run('start')
    const processes = async () => {
      const all = JSON.parse(await pm2.run('jlist')) as { pid: number; pm2_env: { status: string } }[]
      expect(all.map(({ pm2_env }) => pm2_env.status)).toEqual(['online', 'online'])
      return all.map(({ pid }) => pid)
    }
    const before = await processes()
    const url = `http://127.0.0.1:${port}/broadcast`
    // PM2 does not wait until a new process has clients. So on a slow machine, there may be a gap.
    const { faults } = await serve(redis, url, () => pm2.run('reload'))
    expect(faults).toEqual([])
    for (const pid of await processes()) expect(before).not.toContain(pid)
  })
})
