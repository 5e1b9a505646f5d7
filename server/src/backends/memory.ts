import { randomInt } from 'node:crypto'
import { plainCodec } from '../control/codec.ts'
import { encodeControl } from '../control/control.ts'
import { closed } from '../errors.ts'
import { makeBeacon, RUNS, timeOfBeacon } from '../channels/position.ts'
import { MemorySessions } from './memorySessions.ts'
import { throughUtf8 } from '../input/text.ts'
import type { Backend, BackendReceiver, Beacon, Broker, BrokerReceiver } from './backend.ts'

/** The backend for `redis: false`: one process, without external services. It is also its only broker. */
export class MemoryBackend implements Backend, Broker {
  readonly tag = ''
  readonly codec = plainCodec
  readonly trouble = null
  readonly hasEnded = false
  readonly sessions: MemorySessions
  readonly #controlChannel: string
  readonly #channels = new Set<string>()
  #receiver: BrokerReceiver | null = null
  #beacon = 0
  /** After a restart of the process, this is another broker, so positions of returning clients are of another run. */
  readonly #run = randomInt(RUNS)

  constructor(options: { controlChannel: string; timeoutMs: number }) {
    this.#controlChannel = options.controlChannel
    this.sessions = new MemorySessions(options.timeoutMs)
  }

  get isConnected(): boolean {
    return this.#receiver !== null
  }

  async start(receiver: BackendReceiver): Promise<void> {
    this.#receiver = receiver.opened(this)
    this.#receiver.up()
  }

  brokerOf(): Broker {
    return this
  }

  async subscribe(channels: readonly string[]): Promise<readonly string[]> {
    for (const channel of channels) this.#channels.add(channel)
    return []
  }

  async unsubscribe(channels: readonly string[]): Promise<void> {
    for (const channel of channels) this.#channels.delete(channel)
  }

  async publish(channel: string, body: string | Buffer): Promise<number> {
    if (this.#receiver === null) throw closed()
    if (!this.#channels.has(channel)) return 0
    const text = typeof body === 'string' ? throughUtf8(body) : body.toString()
    // The message must not arrive within the caller's call, which may be in a handler of ours.
    queueMicrotask(() => this.#receiver?.message(channel, text))
    return 1
  }

  async countHolders(channels: readonly string[]): Promise<readonly number[]> {
    return channels.map((channel) => (this.#channels.has(channel) ? 1 : 0))
  }

  async beacon(floor: number): Promise<Beacon> {
    const nowMs = Date.now()
    const ms = Math.max(timeOfBeacon(this.#beacon) + 1, timeOfBeacon(floor) + 1, nowMs)
    this.#beacon = makeBeacon(ms, this.#run)
    const text = encodeControl({ type: 'beacon', number: this.#beacon })
    return { n: this.#beacon, nowMs, receivers: await this.publish(this.#controlChannel, text) }
  }

  counts(): boolean {
    return true
  }

  async report(): Promise<void> {}

  async connections(): Promise<number> {
    if (this.#receiver === null) throw closed()
    return 0
  }

  async leave(): Promise<void> {}

  // There is no other node.
  async meet(): Promise<readonly string[]> {
    return []
  }

  // The one node of this process is always listening.
  async keepRevocation(): Promise<void> {}

  async keptRevocations(): Promise<readonly string[]> {
    return []
  }

  async close(): Promise<void> {
    this.#receiver = null
    this.#channels.clear()
  }
}
