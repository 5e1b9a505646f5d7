import http from 'node:http'
import { expect, it } from 'vitest'
import { signIn } from '../support/connect.ts'
import { spawnDemoNode, startDemoNode } from '../support/demoNode.ts'
import { startRedis } from '../support/redis.ts'
import { freePort } from '../support/redisServer.ts'
import { tidy } from '../support/tidy.ts'
import { within } from '../support/waiting.ts'
import type { WebSocketPeer } from '../support/webSocketPeer.ts'

// SIGINT is what `restarts.test.ts` sends.
it.each(['SIGTERM', 'SIGHUP'] as const)(
  '%s drains the demo, also if it comes twice, and a kept-alive connection does not hold the process',
  async (signal) => {
    const redis = tidy(await startRedis())
    const node = await startDemoNode({ redis: redis.url, port: await freePort() })
    tidy({ stop: () => node.stop() })
    await node.healthy()

    const agent = new http.Agent({ keepAlive: true })
    tidy({ stop: () => agent.destroy() })
    const isIdle = new Promise((resolve) => agent.once('free', resolve))
    let keepAlive: unknown
    http.get(`${node.url}/health`, { agent }, (answer) => {
      keepAlive = answer.headers['keep-alive']
      answer.resume()
    })
    await isIdle
    expect(keepAlive, 'longer than a load balancer keeps it').toBe('timeout=75')
    const peer = (await signIn(
      { url: node.url, publish: async () => {} },
      { transport: 'websocket' },
    )) as WebSocketPeer

    node.signal(signal)
    node.signal(signal)
    expect(await peer.closed).toEqual({ code: 1012, reason: 'Service restart' })
    expect(await node.status('/health'), 'it accepts no new connections').toBeNull()
    expect(await node.ended).toBe(0)
  },
)

it('SIGTERM ends the demo without an error while it still waits for Redis', async () => {
  const node = await startDemoNode({ redis: 'redis://127.0.0.1:1', port: await freePort() })
  tidy({ stop: () => node.stop() })
  expect(await node.status('/health')).toBe(503)
  node.signal('SIGTERM')
  expect(await node.ended).toBe(0)
})

it('SIGTERM ends the demo in time while Redis does not answer', async () => {
  const redis = tidy(await startRedis())
  const node = await startDemoNode({ redis: redis.url, port: await freePort() })
  tidy({ stop: () => node.stop() })
  await node.healthy()
  const peer = (await signIn(
    { url: node.url, publish: async () => {} },
    { transport: 'websocket' },
  )) as WebSocketPeer
  redis.pause()
  tidy({ stop: () => redis.resume() })
  node.signal('SIGTERM')
  expect((await peer.closed).code).toBe(1012)
  expect(await node.ended).toBe(0)
})

it('the demo ends with an error if Redis refuses the password', async () => {
  const redis = tidy(await startRedis({ args: ['--requirepass', 'hush'] }))
  const port = await freePort()
  const node = spawnDemoNode({ redis: `redis://:wrong@127.0.0.1:${redis.port}`, port })
  tidy({ stop: () => node.stop() })
  expect(await within(node.ended, 'the demo to end')).toBe(1)
  expect(node.errors).toContain('WRONGPASS')
})
