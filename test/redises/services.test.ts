import { afterAll, describe, expect, it, vi } from 'vitest'
import { startRedis } from '../support/redis.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { tidy } from '../support/tidy.ts'
import { until, within } from '../support/waiting.ts'
import { works } from '../support/works.ts'
import { startOneServerCluster } from './oneServerCluster.ts'
import { wordingProxy } from './wordingProxy.ts'
import { services } from './services.ts'
import { worksOnTwoNodes } from './worksOnTwoNodes.ts'

// ioredis warns on the console that it has no right to INFO.
const warn = vi.spyOn(console, 'warn').mockImplementation(() => {})
afterAll(() => warn.mockRestore())

const without = (commands: readonly string[]) => commands.flatMap((name) => ['--rename-command', name, ''])

const health = async ({ url }: TestServer) =>
  (await (await fetch(`${url}/health`)).json()) as { status: string; reason?: string }

describe('a Redis that refuses what a hosted service refuses', () => {
  it.each(services)('$name: works, with recovery on another node', async (service) => {
    const { refused = [], rights, isCluster = false, hasOneDatabase = false } = service
    const args = [...without(refused), ...(hasOneDatabase ? ['--databases', '1'] : [])]
    const redis = tidy(isCluster ? await startOneServerCluster(args) : await startRedis({ args }))
    const user = rights === undefined ? {} : { username: 'service', password: 'hush' }
    if (rights !== undefined)
      await redis.cli('ACL', 'SETUSER', 'service', 'on', '>hush', '~*', '&*', ...rights)
    const { nodes } = await worksOnTwoNodes({ port: redis.port, ...user })
    for (const { logs } of nodes) expect(logs.loud()).toEqual([])
  })
})

describe('a Redis without', () => {
  it.each(['EVALSHA', 'SUBSCRIBE', 'PUBLISH', 'PUBSUB', 'TIME', 'HGETALL'])(
    '%s does not work, and ready() names the command',
    async (command) => {
      const redis = tidy(await startRedis({ args: without([command]) }))
      const server = tidy(await startServer({ redis: redis.url }, { ready: false }))
      await expect(within(server.broadcaster.ready(), 'ready()')).rejects.toMatchObject({
        code: 'brokerRefused',
        message: expect.stringContaining(`+${command.toLowerCase()} `),
      })
    },
  )

  // https://github.com/redisson/redisson/issues/4389
  it('EVAL does not work either if it says so in words of its own', async () => {
    const redis = tidy(await startRedis({ args: without(['EVAL', 'EVALSHA']) }))
    const proxy = tidy(await wordingProxy(redis.port, 'ERR command $1 not support for your account'))
    const server = tidy(await startServer({ redis: { port: proxy.port } }, { ready: false }))
    await expect(within(server.broadcaster.ready(), 'ready()')).rejects.toThrow(/\+eval \+evalsha/)
  })

  it('INFO works if it says so in words of its own, and logs nothing', async () => {
    const redis = tidy(await startRedis({ args: without(['INFO']) }))
    const proxy = tidy(await wordingProxy(redis.port, "ERR Command is not available: '$1'"))
    const server = tidy(await startServer({ redis: { port: proxy.port } }))
    await works(server)
    expect(server.logs.loud()).toEqual([])
  })
})

describe('a hosted Redis that refuses every command because a quota is used up', () => {
  const QUOTA = 'ERR max requests limit exceeded. Limit: 500000, Usage: 500000'

  it('keeps ready() waiting with the reason in the log, and works when there is a new quota', async () => {
    const redis = tidy(await startRedis())
    const proxy = tidy(await wordingProxy(redis.port))
    proxy.refuse(QUOTA)
    const server = tidy(await startServer({ redis: { port: proxy.port } }, { ready: false }))
    await server.logs.waitFor(/max requests limit exceeded/)
    proxy.refuse(null)
    await within(server.broadcaster.ready(), 'ready()')
    await works(server)
  })

  it('makes health fail while it lasts', async () => {
    const redis = tidy(await startRedis())
    const proxy = tidy(await wordingProxy(redis.port))
    const server = tidy(await startServer({ redis: { port: proxy.port } }))
    proxy.refuse(QUOTA)
    await until('health to fail', async () => (await health(server)).reason === 'Redis says ERR')
    await server.logs.waitFor(/max requests limit exceeded/)
    proxy.refuse(null)
    await until('health to be ok', async () => (await health(server)).status === 'ok')
    await works(server)
  })
})

describe('a Redis that is replaced by one that lacks a command', () => {
  it('makes health fail, and works again when it is back', async () => {
    let args: readonly string[] = []
    const redis = tidy(await startRedis({ args: async () => args }))
    const server = tidy(await startServer({ redis: redis.url }))
    const replace = async (next: readonly string[]) => {
      await redis.stop()
      args = next
      await redis.start()
    }
    await replace(without(['EVAL', 'EVALSHA']))
    await until('health to fail', async () => (await health(server)).reason === 'Redis says ERR')
    expect(server.logs.loud(/unknown command/)).not.toEqual([])
    await replace([])
    await until('health to be ok', async () => (await health(server)).status === 'ok')
    await works(server)
  })
})
