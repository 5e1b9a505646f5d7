import { describe, expect, it } from 'vitest'
import { LongPollPeer } from '../support/longPollPeer.ts'
import { channelName } from '../support/names.ts'
import { startNodeProcess } from '../support/nodeProcess.ts'
import { OriginalClient } from '../support/originalClient.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { roundRobin } from '../support/roundRobin.ts'
import { startNodes, startServer, type TestServer } from '../support/server.ts'
import type { Subject } from '../support/subject.ts'
import { tcpProxy } from '../support/tcpProxy.ts'
import { tidy } from '../support/tidy.ts'
import { until, within } from '../support/waiting.ts'

const numbers = (count: number) => Array.from({ length: count }, (_, i) => String(i))

async function come(subject: Subject, channel: string): Promise<OriginalClient> {
  const client = new OriginalClient(subject.url, [channel])
  await client.connect()
  return client
}

/** Publishes until the client receives a message again. The messages before that are missed. */
async function isBack(client: OriginalClient, publish: (body: string) => Promise<unknown>): Promise<void> {
  const before = client.heard.length
  await until('the client of the original to have recovered', async () => {
    if (client.stopped !== null) throw new Error(`The client has stopped: ${client.stopped}`)
    await publish('back').catch(() => {})
    return client.heard.length > before
  })
}

const isHealthy = (server: TestServer, status = 200) =>
  until(`health ${status}`, async () => (await fetch(`${server.url}/health`)).status === status)

describe('R6: the long-poll clients of the original continue after', () => {
  it.each([1, 2])('a Redis restart that loses all data, with %i nodes', async (nodes) => {
    const redis = tidy(await startRedis())
    const cluster = tidy(await startNodes(nodes, { redis: redis.url }))
    const channel = channelName()
    // A node that has never served the session can't tell it from one that never existed, when Redis has lost it.
    const client = await come(cluster.nodes[0]!, channel)
    await cluster.publish(channel, 'before')
    await client.hears('before')
    await redis.stop()
    await Promise.all(cluster.nodes.map((node) => isHealthy(node, 503)))
    await redis.start()
    await isBack(client, (body) => redis.cli('PUBLISH', channel, body))
    expect(client.failures).not.toContain(401)
  })

  it.each([
    ['the subscriber connection', ['CLIENT', 'KILL', 'TYPE', 'pubsub']],
    ['all sessions (FLUSHALL)', ['FLUSHALL']],
  ])('Redis drops %s', async (_what, command) => {
    const redis = tidy(await startRedis())
    const server = tidy(await startServer({ redis: redis.url, timeout: 5000 }))
    const channel = channelName()
    const client = await come(server, channel)
    for (let round = 0; round < 3; round++) {
      // Before its first poll, the node could not tell that Redis has lost the session.
      await until('the client to poll', async () => {
        const { node } = await server.broadcaster.stats()
        return node.waitingPolls === 1 && (await redis.cli('KEYS', 'bc:session:*')) !== ''
      })
      await redis.cli(...command)
      await isBack(client, (body) => server.publish(channel, body))
    }
    expect(client.failures).not.toContain(401)
  })

  it('a network failure during which messages are published that no node receives', async () => {
    const redis = tidy(await startRedis())
    const link = tidy(await tcpProxy(redis.port))
    const server = tidy(await startServer({ redis: redis.url, pubSub: `redis://${link.address}` }))
    const channel = channelName()
    const client = await come(server, channel)
    for (let round = 0; round < 3; round++) {
      link.refuse()
      link.cut()
      await isHealthy(server, 503)
      await redis.cli('PUBLISH', channel, 'missed')
      link.resume()
      await isHealthy(server)
      await isBack(client, (body) => redis.cli('PUBLISH', channel, body))
    }
    expect(client.heard).not.toContain('missed')
    expect(client.failures).not.toContain(401)
  })

  it('kill -9 of their node', async () => {
    const redis = tidy(await startRedis())
    const doomed = tidy(await startNodeProcess({ redis: redis.url }))
    const other = tidy(await startServer({ redis: redis.url }))
    const proxy = tidy(await roundRobin([new URL(doomed.url).origin, other.origin]))
    const channel = channelName()
    const url = proxy.origin + new URL(other.url).pathname
    const client = await come({ url, publish: other.publish }, channel)
    await doomed.stop()
    await isBack(client, (body) => other.publish(channel, body))
    expect(client.failures).not.toContain(401)
  })

  it.each([
    ['over Redis', true],
    ['in process', false],
  ])('bursts and large messages, %s, and get all messages', async (_where, hasRedis) => {
    const redis = hasRedis ? tidy(await startRedis()) : null
    const server = tidy(
      await startServer({ redis: redis?.url ?? false, limits: { publishedBytes: 2_000_000 } }),
    )
    const channel = channelName()
    const client = await come(server, channel)
    const expected: string[] = []
    for (const bodies of [
      numbers(1001),
      numbers(1500),
      numbers(5000),
      ['x'.repeat(1_200_000)],
      ['a', 'b', 'c'].map((letter) => letter.repeat(400_000)),
    ]) {
      const all = [...bodies, `end of ${bodies.length} ${bodies[0]![0]}`]
      await Promise.all(all.map((body) => server.publish(channel, body)))
      await client.hears(all.at(-1)!)
      expected.push(...all)
    }
    expect(client.heard).toEqual(expected)
    expect(client.failures).toEqual([])
  })
})

it('R6: a session of the base that Redis has lost gets 503 once, and then 401', async () => {
  const redis = tidy(await startRedis())
  const server = tidy(await startServer({ redis: redis.url }))
  const channel = channelName()
  const alice = new LongPollPeer(server)
  await alice.auth()
  await alice.subscribe(channel)
  await server.publish(channel, 'hello')
  expect(await alice.next()).toMatchObject({ body: 'hello' })
  await redis.cli('FLUSHALL')
  const { status, messages } = await alice.poll()
  expect([status, messages]).toEqual([503, [{ __type: 'serverError', reason: 'Messages were missed' }]])
  expect((await alice.poll()).status).toBe(401)
})

it('a session of the base that was ended gets 401, also before its first poll', async () => {
  const redis = tidy(await startRedis())
  const server = tidy(await startServer({ redis: redis.url, canConnect: ({ user }) => ({ user }) }))
  const alice = new LongPollPeer(server)
  await alice.auth({ user: 'alice' })
  await server.broadcaster.disconnect({ user: 'alice' })
  expect((await alice.poll()).status).toBe(401)
})

describe('R6: a session of the base that has missed messages', () => {
  async function missed(redis: TestRedis) {
    const server = tidy(await startServer({ redis: redis.url }))
    const channel = channelName()
    const alice = new LongPollPeer(server)
    await alice.auth()
    await alice.subscribe(channel)
    const poll = alice.poll()
    await until('the poll to wait', async () => (await server.broadcaster.stats()).node.waitingPolls === 1)
    await redis.cli('CLIENT', 'KILL', 'TYPE', 'pubsub')
    return { server, channel, alice, answer: await within(poll, 'the poll to be answered') }
  }

  const text = [{ __type: 'serverError', reason: 'Messages were missed' }]

  it('gets 503, also for its requests in flight, and then 401', async () => {
    const { alice, channel, answer } = await missed(tidy(await startRedis()))
    expect([answer.status, answer.messages]).toEqual([503, text])
    for (const message of [
      { __type: 'subscribe', channel: channelName() },
      { __type: 'unsubscribe', channel },
      { __type: 'ping' },
      { __type: 'poll', seq: '0' },
    ]) {
      const { status, messages } = await alice.post(message)
      expect([status, messages]).toEqual([503, text])
    }
    await until('the session to be gone', async () => (await alice.poll()).status === 401)
  })

  it('ends after some seconds, also without another request', async () => {
    const { server } = await missed(tidy(await startRedis()))
    await until('no session to be left', async () => (await server.broadcaster.stats()).connections === 0)
  })

  it('is not used by auth, which creates a new session', async () => {
    const { alice } = await missed(tidy(await startRedis()))
    const { token } = alice
    const { status, messages } = await alice.post({ __type: 'auth' })
    expect([status, messages]).toEqual([200, [{ __type: 'authOk', __token: expect.any(String) }]])
    expect(messages[0]!['__token']).not.toBe(token)
  })
})
