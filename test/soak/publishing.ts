import { Redis } from 'ioredis'
import { Random } from '../simulation/random.ts'
import type { ApplicationProcess } from './applicationProcess.ts'
import { bytes, channelName, position } from './words.ts'

export const HEALTHY_CHANNEL = 'healthy'

const STREAM_MS = 50
const NOISE_MS = 20
const FLOOD_MS = 250
const FLOOD = Array.from({ length: 20 }, () => 'f'.repeat(10_000))

/** The messages of a run: numbered ones for the healthy clients, and noise on other channels. */
export class Publishing {
  readonly #redis: Redis
  readonly #application: ApplicationProcess
  readonly #random: Random
  #stream: NodeJS.Timeout | undefined
  readonly #noise: NodeJS.Timeout[] = []
  #last = 0
  noise = 0

  constructor(redisUrl: string, application: ApplicationProcess, seed: number) {
    this.#redis = new Redis(redisUrl)
    this.#redis.on('error', () => {})
    this.#application = application
    this.#random = new Random(seed)
  }

  /** The number of the last message for the healthy clients. */
  get last(): number {
    return this.#last
  }

  startStream(): void {
    this.#stream = setInterval(() => this.#publish(HEALTHY_CHANNEL, String(++this.#last)), STREAM_MS)
  }

  startNoise(): void {
    this.#noise.push(
      setInterval(() => this.#makeNoise(), NOISE_MS),
      setInterval(() => FLOOD.forEach((body) => this.#publish('flood', body)), FLOOD_MS),
    )
  }

  stopNoise(): void {
    this.#noise.splice(0).forEach((timer) => clearInterval(timer))
  }

  stopStream(): void {
    clearInterval(this.#stream)
  }

  close(): void {
    this.stopNoise()
    this.stopStream()
    this.#redis.disconnect()
  }

  #publish(channel: string, body: string): void {
    void this.#redis.publish(channel, body).catch(() => {})
    this.#application.publish(channel, body)
  }

  /** Publishes anything to any channel, also to those of the nodes. */
  #makeNoise(): void {
    this.noise += 1
    const random = this.#random
    if (random.chance(0.5)) {
      const length = random.pick([0, 10, 300, 5000, 70_000])
      return this.#publish(
        channelName(random),
        random.chance(0.2) ? String(bytes(random, 200)) : 'n'.repeat(length),
      )
    }
    const channel = random.pick(['broadcaster', 'routed', 'bc:node:x', 'bc:'])
    void this.#redis
      .publish(channel, random.chance(0.3) ? bytes(random, 60) : control(random))
      .catch(() => {})
  }
}

/** Messages like those between nodes, correct or not, but none that would affect a healthy client. */
function control(random: Random): string {
  const name = channelName(random)
  return JSON.stringify({
    v: random.pick([1, 1, 1, 1, 2, '1', null]),
    ...random.pick<object>([
      { b: random.pick([-1, 1.5, '5', null, 2 ** 60]) },
      { type: 'fetch', id: 1, node: 'x', ranges: [[name, position(random), position(random)]] },
      { type: 'fetch', id: -1, node: 1, ranges: 'x' },
      { type: 'fetched', id: 1, node: 'x', range: 7, entries: [[position(random), '"x"', 1]], isLast: true },
      { type: 'fetched', id: 1, node: 'x', range: 0, entries: null, isLast: true },
      { type: 'heads', id: 1, node: 'x', channels: [[name, position(random)]] },
      { type: 'headsAre', id: 1, heads: [position(random), null] },
      { type: 'fence', client: 'mallory', generation: random.between(0, 4) },
      { type: 'endPoll', token: 'x', poll: 'x/1', seq: null },
      { type: 'endSession', token: '__proto__' },
      { type: 'pollChannel', token: 'x', poll: 'x/1', channel: name, position: position(random) },
      { type: 'disconnect', match: { user: random.pick(['mallory', null, {}, []]) } },
      { type: 'unsubscribe', match: { user: 'mallory', __proto__: 1 }, channel: name },
      { type: '__proto__' },
      { type: 'toString' },
    ]),
  })
}
