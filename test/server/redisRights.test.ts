import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { BroadcasterOptions } from '@broadcaster/server'
import { afterAll, describe, expect, it, vi } from 'vitest'
import { waitingPoll } from '../support/barriers.ts'
import { signIn } from '../support/connect.ts'
import { LongPollPeer } from '../support/longPollPeer.ts'
import { channelName } from '../support/names.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { startNodes, startServer } from '../support/server.ts'
import { transports } from '../support/subject.ts'
import { tidy } from '../support/tidy.ts'
import { until, within } from '../support/waiting.ts'
import { WebSocketPeer } from '../support/webSocketPeer.ts'

// ioredis warns on the console that it has no right to INFO.
const warn = vi.spyOn(console, 'warn').mockImplementation(() => {})
afterAll(() => warn.mockRestore())

/** Runs the ACL command of docs/security.md, unchanged, on this Redis. */
async function grantLeast(redis: TestRedis): Promise<string> {
  const command = await leastRule()
  const { stdout } = await promisify(execFile)('sh', [
    '-c',
    command.replace('redis-cli', `redis-cli -p ${redis.port}`),
  ])
  expect(stdout.trim()).toBe('OK')
  return `redis://broadcaster:hush@127.0.0.1:${redis.port}`
}

async function leastRule(): Promise<string> {
  const page = await readFile(join(import.meta.dirname, '../../docs/security.md'), 'utf8')
  const [, command] = /```sh\n(redis-cli ACL SETUSER broadcaster [^`]*)```/.exec(page)!
  return command!
}

const refusedStart = async (options: BroadcasterOptions) => {
  const server = tidy(await startServer(options, { ready: false }))
  const error = await within(server.broadcaster.ready(), 'ready()').then(
    () => null,
    (reason: unknown) => reason,
  )
  return { server, error }
}

/** The commands, channels and keys of the rule. */
const rights = (await leastRule()).match(/\+\w+|(?<=')[&~][^']+/g)!

describe('the minimal ACL rule of docs/security.md', () => {
  it.each([{}, { recovery: false as const }, { recovery: { copies: 2 } }])(
    'permits everything: two nodes, both transports, recovery, stats, disconnecting (%o)',
    async (options) => {
      const redis = tidy(await startRedis())
      const url = await grantLeast(redis)
      const cluster = tidy(
        await startNodes(2, { redis: url, canConnect: (auth) => ({ user: auth['user'] }), ...options }),
      )
      const [one, two] = cluster.nodes
      const channel = channelName('news')
      for (const transport of transports) {
        const auth = { user: transport, __v: 1, __client: transport, __generation: 1 }
        const peer = await signIn(one!, { transport, auth })
        const { position } = await peer.subscribe(channel)
        await two!.broadcaster.publish(channel, 'hello')
        expect(await peer.next()).toMatchObject({ channel, body: 'hello' })
        // The other node has not had the channel yet, so it recovers from the log of this node.
        const again = await signIn(two!, { transport, auth: { ...auth, __generation: 2 } })
        expect(await again.subscribe(channel, position === undefined ? {} : { position })).toMatchObject(
          position === undefined
            ? { __type: 'subscribeOk' }
            : { recovered: true, messages: [['hello', expect.anything()]] },
        )
        const other = channelName('news')
        await again.subscribe(other)
        await again.send({ __type: 'unsubscribe', channel: other })
      }
      // The connections of the other node are counted when it has reported them.
      await until(
        'the connections of both nodes',
        async () => (await one!.broadcaster.stats()).connections >= 2,
      )
      const waiting = new LongPollPeer(one!)
      await waiting.auth({ user: 'bob' })
      await waiting.subscribe(channel)
      const poll = await waitingPoll(waiting)
      await two!.broadcaster.disconnect({ user: 'bob' })
      await within(poll.answer, 'the poll to be ended')
      expect((await waiting.poll()).status).toBe(401)
      for (const { logs } of cluster.nodes) expect(logs.loud()).toEqual([])
      const log = (await redis.cli('ACL', 'LOG')).split('\n')
      const refused = log.filter((_, i) => log[i - 1] === 'object')
      const optional = ['ping', 'info', 'client', 'client|setinfo']
      expect(refused.filter((command) => !optional.includes(command))).toEqual([])
    },
  )

  it('does not contain PING, because a refused PING is also a sign of life', async () => {
    const redis = tidy(await startRedis())
    const server = tidy(await startServer({ redis: await grantLeast(redis) }))
    const subscriber = async () => /id=\d+/.exec(await redis.cli('CLIENT', 'LIST', 'TYPE', 'pubsub'))![0]
    const before = await subscriber()
    await until('many to be refused', async () => {
      const [, count] =
        /cmdstat_ping:.*rejected_calls=(\d+)/.exec(await redis.cli('INFO', 'commandstats')) ?? []
      return Number(count) > 20
    })
    expect(await subscriber(), 'the same connection').toBe(before)
    expect(server.logs.loud()).toEqual([])
  })

  it('contains many rights', () => expect(rights.length).toBeGreaterThan(20))

  it.each(rights.filter((right) => right !== '&news*'))(
    'contains only what is needed: without %s, the start fails and the log says what to grant',
    async (right) => {
      const redis = tidy(await startRedis())
      const url = await grantLeast(redis)
      if (right.startsWith('+')) await redis.cli('ACL', 'SETUSER', 'broadcaster', `-${right.slice(1)}`)
      else {
        const reset = right.startsWith('&') ? 'resetchannels' : 'resetkeys'
        const others = rights.filter((name) => name[0] === right[0] && name !== right)
        await redis.cli('ACL', 'SETUSER', 'broadcaster', reset, ...others)
      }
      const { server, error } = await refusedStart({
        redis: url,
        controlNamespace: 'bc:',
        controlChannel: 'broadcaster',
      })
      expect(error, right).toMatchObject({ name: 'BroadcasterError', code: 'brokerRefused' })
      const line = `ACL SETUSER broadcaster ${right} (`
      expect((error as Error).message).toContain(line)
      expect(server.logs.loud(line), 'it is told once').toHaveLength(1)
      expect(await health(server.url)).toMatchObject({ status: 503, body: { reason: 'Redis says NOPERM' } })
    },
  )
})

describe('a missing right', () => {
  it('can be granted later, and then the node works', async () => {
    const redis = tidy(await startRedis())
    const url = await grantLeast(redis)
    await redis.cli(
      'ACL',
      'SETUSER',
      'broadcaster',
      '-subscribe',
      '-eval',
      '-hset',
      'resetchannels',
      '&news*',
    )
    const { server, error } = await refusedStart({ redis: url })
    expect((error as Error).message, 'all in one line').toMatch(
      /ACL SETUSER broadcaster (?=.*\+subscribe)(?=.*\+eval)(?=.*\+hset)(?=.*&bc:\*)/,
    )
    await grantLeast(redis)
    await until('health 200', async () => (await health(server.url)).status === 200)
    for (const transport of transports) {
      const channel = channelName('news')
      const alice = await signIn(server, { transport })
      await alice.subscribe(channel)
      await server.publish(channel, 'hello')
      expect(await alice.next()).toMatchObject({ body: 'hello' })
    }
  })

  it('is logged when it is taken away from a running node, and when it is granted again', async () => {
    const redis = tidy(await startRedis())
    const server = tidy(await startServer({ redis: await grantLeast(redis) }))
    const channel = channelName('news')
    const alice = (await signIn(server, { transport: 'websocket', auth: { __v: 1 } })) as WebSocketPeer
    await alice.subscribe(channel)
    await redis.cli('ACL', 'SETUSER', 'broadcaster', '-set')
    await until('health 503', async () => (await health(server.url)).status === 503)
    await redis.cli('PUBLISH', channel, 'still here')
    expect(await alice.next(), 'live channels continue').toMatchObject({ body: 'still here' })
    const line = 'ACL SETUSER broadcaster +set ('
    await server.logs.waitFor(line)
    const refused = channelName('news')
    expect(await alice.subscribe(refused)).toMatchObject({ __type: 'serverError', channel: refused })
    await redis.cli('ACL', 'SETUSER', 'broadcaster', '+set')
    await until('health 200', async () => (await health(server.url)).status === 200)
    expect(await alice.subscribe(channelName('news'))).toMatchObject({ __type: 'subscribeOk' })
    expect(server.logs.loud(line)).toHaveLength(1)
    expect(server.logs.loud('can do everything again')).toHaveLength(1)
  })

  it('to the channels of the nodes is logged in the same way', async () => {
    const redis = tidy(await startRedis())
    const server = tidy(await startServer({ redis: await grantLeast(redis), controlChannel: 'broadcaster' }))
    const channel = channelName('news')
    const alice = await signIn(server, { transport: 'websocket', auth: { __v: 1 } })
    await alice.subscribe(channel)
    // Redis closes our connection, because it is subscribed to channels without a right.
    await redis.cli('ACL', 'SETUSER', 'broadcaster', 'resetchannels', '&news*')
    await server.logs.waitFor('ACL SETUSER broadcaster &bc:* &broadcaster (')
    expect(server.logs.loud('Redis refuses the channel'), 'it is told once').toEqual([])
    expect(await health(server.url)).toMatchObject({ status: 503, body: { reason: 'Redis says NOPERM' } })
    await grantLeast(redis)
    await until('health 200', async () => (await health(server.url)).status === 200)
    expect(await alice.next()).toMatchObject({ __type: 'gap', channel, reason: 'broker' })
    await redis.cli('PUBLISH', channel, 'back')
    expect(await alice.next()).toMatchObject({ body: 'back' })
  })

  it('to a channel of publish() rejects the call, and health stays 200', async () => {
    const redis = tidy(await startRedis())
    const server = tidy(await startServer({ redis: await grantLeast(redis) }))
    await expect(server.broadcaster.publish('private', 'x')).rejects.toMatchObject({
      code: 'brokerRefused',
      message: expect.stringContaining('ACL SETUSER broadcaster &private'),
    })
    expect((await health(server.url)).status).toBe(200)
  })
})

describe('a Redis without some command', () => {
  it.each(['PING', 'INFO'])('%s works', async (command) => {
    const redis = tidy(await startRedis({ args: ['--rename-command', command, ''] }))
    const server = tidy(await startServer({ redis: redis.url }))
    const channel = channelName()
    const alice = (await signIn(server, { transport: 'websocket', auth: { __v: 1 } })) as WebSocketPeer
    await alice.subscribe(channel)
    await redis.cli('PUBLISH', channel, 'hello')
    expect(await alice.next()).toMatchObject({ body: 'hello' })
  })

  it('EVAL makes the start fail with an error that names it', async () => {
    const redis = tidy(await startRedis({ args: ['--rename-command', 'EVAL', ''] }))
    const { server, error } = await refusedStart({ redis: redis.url })
    expect(error).toMatchObject({
      code: 'brokerRefused',
      message: expect.stringMatching(/\+eval \(.*rename-command/),
    })
    expect(server.logs.loud('rename-command')).toHaveLength(1)
  })
})

async function health(url: string): Promise<{ status: number; body: unknown }> {
  const answer = await fetch(`${url}/health`)
  return { status: answer.status, body: await answer.json() }
}
