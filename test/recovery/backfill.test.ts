import { setTimeout as delay } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { earlierThan } from '../support/beacons.ts'
import { signIn } from '../support/connect.ts'
import { limitsReached } from '../support/metrics.ts'
import { channelName } from '../support/names.ts'
import type { Peer } from '../support/peer.ts'
import { startRedis } from '../support/redis.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { tidy } from '../support/tidy.ts'
import { within } from '../support/waiting.ts'

/** No message expires during a test, also on a loaded machine. */
const LONG = { window: 600_000 }

const come = (server: TestServer): Promise<Peer> =>
  signIn(server, { transport: 'websocket', auth: { __v: 1 } })

const names = (count: number) => Array.from({ length: count }, () => channelName())

/** Fills the channels of a node with this number of messages each. Returns the positions before the first messages. */
async function hold(holder: TestServer, channels: readonly string[], messages: number, bytes: number) {
  const witness = await come(holder)
  const places = new Map<string, string>()
  for (const channel of channels) {
    places.set(channel, (await witness.subscribe(channel))['position'] as string)
  }
  const padding = '.'.repeat(bytes)
  for (let i = 0; i < messages; i++) {
    for (const channel of channels) void holder.publish(channel, `${i} ${padding}`)
    await witness.take(channels.length)
  }
  return places
}

/** Subscribes from a position. As our client does, it repeats the request if the time was too short for all messages. */
async function recover(peer: Peer, channel: string, position: string | undefined) {
  for (;;) {
    const answer = await peer.subscribe(channel, { position })
    if (answer.__type !== 'serverError') return answer
  }
}

/** Collects the recovery messages between the nodes from now on. */
async function listen(url: string, channel = 'broadcaster') {
  const redis = connect(url)
  const messages: Record<string, unknown>[] = []
  await redis.psubscribe(`${channel}*`)
  redis.on('pmessage', (_pattern, _channel, body: string) => messages.push(JSON.parse(body)))
  return { of: (type: string) => messages.filter((message) => message['type'] === type) }
}

function connect(url: string): Redis {
  const redis = new Redis(url)
  tidy({ close: () => redis.disconnect() })
  return redis
}

describe('messages that a node does not have', () => {
  it('R3: come from another node in pages, for many channels at once, within limits.backfillBytes and the output limit of Redis', async () => {
    const redis = tidy(await startRedis({ args: ['--client-output-buffer-limit', 'pubsub 300kb 0 0'] }))
    const options = { redis: redis.url, recovery: LONG, limits: { backfillBytes: 100_000 } }
    const [holder, late] = [tidy(await startServer(options)), tidy(await startServer(options))]
    const channels = names(10)
    const places = await hold(holder, channels, 60, 1000)
    // One client alone may have half of the limit.
    const clients = [await come(late), await come(late), await come(late)]
    const subscribers = async () =>
      (await redis.cli('CLIENT', 'LIST', 'TYPE', 'pubsub')).match(/^id=\d+/gm)?.sort()
    const before = await subscribers()
    const recoverBy = (channel: string, i: number) => recover(clients[i % 3]!, channel, places.get(channel))
    const answers = await Promise.all(channels.map(recoverBy))
    for (const { recovered, messages } of answers) {
      expect(recovered).toBe(true)
      expect((messages as [string][]).map(([body]) => Number.parseInt(body, 10))).toEqual(
        Array.from({ length: 60 }, (_, i) => i),
      )
    }
    expect(await subscribers(), 'the same connections').toEqual(before)
    expect((await limitsReached(late.broadcaster))['backfillBytes'], 'pages waited').toBeGreaterThan(0)
  })

  it('R3: come also if one message is larger than a page and larger than limits.backfillBytes', async () => {
    const redis = tidy(await startRedis())
    const options = { redis: redis.url, recovery: LONG, limits: { backfillBytes: 50_000 } }
    const [holder, late] = [tidy(await startServer(options)), tidy(await startServer(options))]
    const [channel] = names(1)
    const places = await hold(holder, [channel!], 3, 200_000)
    const alice = await come(late)
    const answer = await recover(alice, channel!, places.get(channel!))
    expect(answer).toMatchObject({ recovered: true })
    expect(answer['messages']).toHaveLength(3)
  })

  it('are recovered for clients in turns, so a client that needs very many does not delay another one', async () => {
    const redis = tidy(await startRedis())
    const options = { redis: redis.url, recovery: LONG, limits: { backfillBytes: 20_000 } }
    const [holder, late] = [tidy(await startServer(options)), tidy(await startServer(options))]
    const channels = names(20)
    const last = channels.at(-1)!
    const places = await hold(holder, channels, 20, 1000)
    const [mallory, alice] = [await come(late), await come(late)]
    const answered: string[] = []
    const ask = async (peer: Peer, channel: string, who: string) => {
      const answer = await recover(peer, channel, places.get(channel))
      answered.push(who)
      return answer
    }
    const greedy = channels.slice(0, -1).map((channel) => ask(mallory, channel, 'mallory'))
    expect(await ask(alice, last, 'alice')).toMatchObject({ recovered: true })
    expect(answered.length, 'answers until then').toBeLessThan(channels.length / 2)
    await Promise.all(greedy)
  })
})

describe('messages that no node has', () => {
  afterEach(() => void vi.useRealTimers())

  it.each([
    ['a monitoring tool that subscribes to all channels by a pattern', 'psubscribe', () => '*'],
    ['a monitoring tool that subscribes to the control channel', 'subscribe', () => 'broadcaster'],
    ['another application that subscribes to the channel', 'subscribe', (channel: string) => channel],
  ] as const)(
    'R5: are known to be missing as soon as the nodes have answered, with %s',
    async (_, command, name) => {
      const redis = tidy(await startRedis())
      const [holder, late] = [
        tidy(await startServer({ redis: redis.url })),
        tidy(await startServer({ redis: redis.url })),
      ]
      const channel = channelName()
      await connect(redis.url)[command](name(channel))
      const [witness, alice] = [await come(holder), await come(late)]
      const { position } = await witness.subscribe(channel)
      // No question times out.
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
      const earlier = earlierThan(position as string)
      expect(await alice.subscribe(channel, { position: earlier })).toMatchObject({
        recovered: false,
        reason: 'node',
      })
    },
  )

  it('R5: are requested once for all clients with different positions', async () => {
    const redis = tidy(await startRedis())
    const [holder, late] = [
      tidy(await startServer({ redis: redis.url })),
      tidy(await startServer({ redis: redis.url })),
    ]
    const channel = channelName()
    const witness = await come(holder)
    const { position } = await witness.subscribe(channel)
    const clients: Peer[] = []
    for (let i = 0; i < 100; i++) clients.push(await come(late))
    await (await come(late)).subscribe(channel)
    const [heard, queries] = [await listen(redis.url), await listen(redis.url, 'bc:node:')]
    const answers = await Promise.all(
      clients.map((client, i) => client.subscribe(channel, { position: earlierThan(position as string, i) })),
    )
    for (const answer of answers) expect(answer).toMatchObject({ recovered: false, reason: 'node' })
    expect(heard.of('where').length).toBeGreaterThan(0)
    expect(heard.of('where').length).toBeLessThan(10)
    expect(queries.of('getPage'), 'the other node has said that it has no earlier ones').toEqual([])
  })

  it('are not requested if Redis has no other subscriber of the channel', async () => {
    const redis = tidy(await startRedis())
    const [holder, other] = [
      tidy(await startServer({ redis: redis.url })),
      tidy(await startServer({ redis: redis.url })),
    ]
    const heard = await listen(redis.url)
    const [alice, bob] = [await come(holder), await come(other)]
    for (const channel of names(20)) {
      const { position } = await alice.subscribe(channel)
      await alice.unsubscribe(channel)
      const earlier = earlierThan(position as string)
      expect(await alice.subscribe(channel, { position: earlier })).toMatchObject({ recovered: false })
    }
    expect([...heard.of('where'), ...heard.of('claim')]).toEqual([])
    const shared = channelName()
    await alice.subscribe(shared)
    await bob.subscribe(shared)
    await within(heardOf(heard, 'claim'), 'the claim about a channel that both have')
  })

  it('R5: cause a gap in bounded time if a node of another version does not know the question', async () => {
    const redis = tidy(await startRedis())
    const late = tidy(await startServer({ redis: redis.url }))
    const channel = channelName()
    await connect(redis.url).subscribe('broadcaster', 'bc:members:broadcaster', channel)
    const alice = await come(late)
    const { position } = await alice.subscribe(channel)
    const again = await come(late)
    const earlier = earlierThan(position as string)
    expect(await again.subscribe(channel, { position: earlier })).toMatchObject({
      recovered: false,
      reason: 'node',
    })
  })
})

describe('limits.backfillBytes', () => {
  const PAGE = 64 * 1024
  afterEach(() => void vi.useRealTimers())

  /** Clients ask for channels that another node has, which sends no page. Returns how many pages of each client it was asked for. */
  async function askForPages(clients: number, channelsOfEach: number, expected: number) {
    const redis = tidy(await startRedis())
    const limits = { backfillBytes: 64 * PAGE }
    const late = tidy(await startServer({ redis: redis.url, limits }))
    const [subscriber, publisher] = [connect(redis.url), connect(redis.url)]
    const fence = channelName()
    await subscriber.subscribe('broadcaster', 'bc:members:broadcaster', 'bc:node:other', fence)
    // No query ends because its time is over.
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const asked = new Map<string, number>()
    let enough!: () => void
    const all = new Promise<void>((resolve) => (enough = resolve))
    let fenced!: () => void
    const end = new Promise<void>((resolve) => (fenced = resolve))
    subscriber.on('message', (channel, text) => {
      if (channel === fence) return fenced()
      const message = JSON.parse(text) as Record<string, unknown>
      if (message['type'] === 'where') {
        const known = (message['channels'] as [string, string][]).map(([, at], i) => [i, earlierThan(at), at])
        const answer = { v: 1, type: 'whereIs', id: message['id'], node: 'other', channels: known }
        void publisher.publish(`bc:node:${message['node'] as string}`, JSON.stringify(answer))
      }
      if (message['type'] !== 'getPage') return
      expect(message['bytes']).toBe(PAGE)
      const [client] = (message['channel'] as string).split(' ')
      asked.set(client!, (asked.get(client!) ?? 0) + 1)
      if (sum(asked) === expected) enough()
    })
    for (let i = 0; i < clients; i++) {
      const peer = await come(late)
      for (let j = 0; j < channelsOfEach; j++) {
        const channel = `${i} ${channelName()}`
        await subscriber.subscribe(channel)
        const { position } = await peer.subscribe(channel)
        await peer.unsubscribe(channel)
        await peer.send({ __type: 'subscribe', channel, position: earlierThan(position as string) })
        // Faster, the node would wait for its turn to send a beacon, with one of the timers that stand still.
        await delay(15)
      }
    }
    await within(all, 'the queries')
    await late.publish(fence, 'No query of before comes after this')
    await within(end, 'the message after the queries')
    vi.useRealTimers()
    // No page has come yet.
    expect((await late.broadcaster.stats()).node.backfillBytes).toBe(expected * PAGE)
    return [...asked.values()]
  }

  it('R3: bounds what a node asks for, and is divided among the clients', async () => {
    const asked = await askForPages(20, 5, 64)
    expect(Math.max(...asked), 'pages of one client').toBe(4)
    expect(asked.reduce((total, count) => total + count)).toBe(64)
  })

  it('R3: a single client has at most 256 KiB of it', async () => {
    expect(await askForPages(1, 20, 4)).toEqual([4])
  })
})

const sum = (counts: ReadonlyMap<string, number>) => [...counts.values()].reduce((a, b) => a + b, 0)

describe('a deadline', () => {
  it('applies to a client that is ahead of the node while Redis makes no beacons', async () => {
    const redis = tidy(await startRedis())
    await redis.cli('ACL', 'SETUSER', 'node', 'on', '>x', '~*', '&*', '+@all')
    const server = tidy(await startServer({ redis: redis.url.replace('//', '//node:x@') }))
    const channel = channelName()
    const alice = await come(server)
    const { position } = await alice.subscribe(channel)
    await redis.cli('ACL', 'SETUSER', 'node', '-eval', '-evalsha')
    const bob = await come(server)
    expect(await bob.subscribe(channel, { position: `${position as string}z` })).toMatchObject({
      __type: 'serverError',
    })
    await redis.cli('ACL', 'SETUSER', 'node', '+eval', '+evalsha')
    const carol = await come(server)
    expect(await carol.subscribe(channel)).toMatchObject({ __type: 'subscribeOk' })
  })
})

async function heardOf(heard: Awaited<ReturnType<typeof listen>>, type: string): Promise<void> {
  while (heard.of(type).length === 0) await new Promise((resolve) => setImmediate(resolve))
}
