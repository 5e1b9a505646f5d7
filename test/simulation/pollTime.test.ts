import { expect, it } from 'vitest'
import { SimulatedBackend, type NodeBackend } from './backend.ts'
import { Broker } from './broker.ts'
import { SimulatedNode } from './cluster.ts'
import { Random } from './random.ts'
import { Credentials } from './credentials.ts'
import { Safety } from './oracle.ts'
import { VirtualTime } from './time.ts'
import { Counts, faultless, type World } from './world.ts'

// How long messages wait, to the millisecond. In real time, a test could only compare orders of events.

const POLL_TIME = 500
const CHANNELS = ['news', 'chat'] as const
/** The longest time that a message takes through the simulated broker and its network, in ms. */
const NETWORK_MS = 20

/** The fields of all messages that these conversations have. */
interface Message {
  readonly __token?: string
  readonly channel: string
  readonly body: string
  readonly position?: string
}

interface Arrival {
  readonly body: string
  /** The times of its publish and of its answer, in ms since the first publish. */
  readonly publishedAt: number
  readonly answeredAt: number
}

/** Publishes at these times, and polls in a loop as a client does. Returns when each message was answered. */
async function answersTo(publishes: readonly number[], auth = '"__v":1'): Promise<Arrival[]> {
  const random = new Random(1)
  const time = new VirtualTime(() => random.next())
  const fail = (who: string, what: string): never => expect.fail(`${who}: ${what}`)
  const world: World = {
    random,
    counts: new Counts(),
    trace: null,
    conditions: faultless,
    safety: new Safety(),
    credentials: new Credentials(0),
    gap: fail,
    fail,
  }
  const arrivals: Arrival[] = []
  try {
    const broker = new Broker(world, {
      controlChannel: 'broadcaster',
      sessionTimeoutMs: 30_000,
      isMonitored: false,
    })
    const options = { controlChannel: 'broadcaster', timeout: 30_000, pollTime: POLL_TIME }
    const makeBackend = (name: string): NodeBackend => new SimulatedBackend(world, broker, name)
    const node = new SimulatedNode(world, makeBackend, 'node', options)
    const { signal } = new AbortController()
    const request = async (body: string): Promise<Message[]> =>
      JSON.parse((await node.handle(body, signal)).body) as Message[]
    await time.runUntil(100)

    let begin = Infinity
    const live = async (): Promise<void> => {
      const token = (await request(`{"__type":"auth",${auth}}`))[0]!.__token
      const positions: Record<string, string> = {}
      for (const channel of CHANNELS) {
        const subscribe = { __type: 'subscribe', channel, __token: token }
        const { position } = (await request(JSON.stringify(subscribe)))[0]!
        if (position !== undefined) positions[channel] = position
      }
      for (let seq = 0; ; seq++) {
        const poll = { __type: 'poll', seq: String(seq), positions, __token: token }
        for (const { channel, body, position } of await request(JSON.stringify(poll))) {
          if (position !== undefined) positions[channel] = position
          const publishedAt = publishes[arrivals.length]!
          arrivals.push({ body, publishedAt, answeredAt: time.now - begin })
        }
      }
    }
    void live()
    await time.runUntil(5000)
    begin = time.now
    publishes.forEach((at, i) => {
      setTimeout(() => broker.publish(CHANNELS[i % CHANNELS.length]!, String(i)), at)
    })
    await time.runUntil(begin + Math.max(...publishes) + 5000)
    expect(arrivals.map(({ body }) => body)).toEqual(publishes.map((_, i) => String(i)))
    await node.drain(0)
    return arrivals
  } finally {
    time.end()
  }
}

const every = (ms: number, count: number, first = 0): number[] =>
  Array.from({ length: count }, (_, i) => first + i * ms)

const waits = (arrivals: readonly Arrival[]): number[] =>
  arrivals.map(({ publishedAt, answeredAt }) => answeredAt - publishedAt)

const answerTimes = (arrivals: readonly Arrival[]): number[] => [
  ...new Set(arrivals.map(({ answeredAt }) => answeredAt)),
]

it('L15: a message that comes soon after an answer and stays alone is answered pollTime after that answer', async () => {
  const [first, second] = await answersTo([0, 200])
  expect(first!.answeredAt).toBeLessThanOrEqual(NETWORK_MS)
  expect(second!.answeredAt - first!.answeredAt).toBeGreaterThanOrEqual(POLL_TIME - 1)
  expect(second!.answeredAt - first!.answeredAt).toBeLessThanOrEqual(POLL_TIME + 1)
})

it('L15: one message a second does not wait, although the message before it had to', async () => {
  // The second message waits. Until it is answered, less than pollTime is left before the third one.
  const [, , ...later] = await answersTo([0, 200, ...every(1000, 10, 1000)])
  for (const wait of waits(later)) expect(wait).toBeLessThanOrEqual(NETWORK_MS)
})

it('L15: messages that are no longer alone are gathered for pollTime from the first one on', async () => {
  const [first, second, third] = await answersTo([0, 200, 400])
  expect(first!.answeredAt).toBeLessThanOrEqual(NETWORK_MS)
  expect(second!.answeredAt).toBe(third!.answeredAt)
  expect(waits([second!])[0]).toBeGreaterThanOrEqual(POLL_TIME - 1)
  expect(waits([second!])[0]).toBeLessThanOrEqual(POLL_TIME + NETWORK_MS)
})

it('L15: eleven messages a second are answered six at a time', async () => {
  const arrivals = await answersTo(every(90, 199))
  // The first message is answered at once. Of the others, one begins to wait, and five more come within pollTime.
  expect(answerTimes(arrivals)).toHaveLength(1 + 198 / 6)
})

it.each([1, 2, 3, 5, 8, 20, 100])(
  'L15: answers are at least pollTime apart, and no message waits longer, at %i messages a second',
  async (rate) => {
    const arrivals = await answersTo(every(Math.round(1000 / rate), 60))
    for (const wait of waits(arrivals)) expect(wait).toBeLessThanOrEqual(POLL_TIME + NETWORK_MS)
    const times = answerTimes(arrivals)
    for (const [i, at] of times.slice(1).entries())
      expect(at - times[i]!).toBeGreaterThanOrEqual(POLL_TIME - 1)
  },
)

it('L4: for a client of the base every message waits for pollTime', async () => {
  for (const wait of waits(await answersTo(every(1000, 10), '"a":1'))) {
    expect(wait).toBeGreaterThanOrEqual(POLL_TIME - 1)
    expect(wait).toBeLessThanOrEqual(POLL_TIME + NETWORK_MS)
  }
})
