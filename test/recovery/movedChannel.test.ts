import { expect, it } from 'vitest'
import type { BackendReceiver, Beacon, Broker } from '../../server/src/backends/backend.ts'
import { MemoryBackend } from '../../server/src/backends/memory.ts'
import { Channel } from '../../server/src/channels/channel.ts'
import { FanOut } from '../../server/src/channels/fanout.ts'
import { makeBeacon } from '../../server/src/channels/position.ts'
import { NodeControl } from '../../server/src/cluster/nodeControl.ts'
import { Orders } from '../../server/src/cluster/orders.ts'
import { encodeControl } from '../../server/src/control/control.ts'
import { Counts } from '../../server/src/metrics/counts.ts'
import { Latency } from '../../server/src/metrics/latency.ts'
import { Deadline } from '../../server/src/time/deadline.ts'
import { collectLogs } from '../support/logs.ts'
import { until } from '../support/waiting.ts'

// A channel moves to another order while a client waits for it. This needs a slot of a Redis Cluster that moves at that moment.

const options = { controlChannel: 'control', controlNamespace: 'bc:', timeoutMs: 1000 }

class OneBroker extends MemoryBackend {
  /** The time of the next beacon. */
  nextMs = Date.now()
  readonly #run: number
  readonly asked: string[] = []

  constructor(run: number) {
    super(options)
    this.#run = run
  }

  /** The first broker never confirms the channel. */
  override async subscribe(channels: readonly string[]): Promise<readonly string[]> {
    this.asked.push(...channels)
    if (this.#run === 1 && channels.includes('news')) await new Promise(() => {})
    return super.subscribe(channels)
  }

  override async beacon(): Promise<Beacon> {
    const n = makeBeacon(this.nextMs++, this.#run)
    const receivers = await this.publish('control', encodeControl({ type: 'beacon', number: n }))
    return { n, nowMs: Date.now(), receivers }
  }
}

class TwoBrokers extends MemoryBackend {
  readonly first = new OneBroker(1)
  readonly second = new OneBroker(2)
  owner: Broker = this.first

  override get isConnected(): boolean {
    return true
  }

  override async start(receiver: BackendReceiver): Promise<void> {
    await this.first.start(receiver)
    await this.second.start(receiver)
  }

  override brokerOf(): Broker {
    return this.owner
  }
}

it('R3: a client that waits for a channel which moves to another order is told of no gap, if it comes from a node that knows the other order', async () => {
  const backend = new TwoBrokers(options)
  const channels = new Map<string, Channel>()
  const counts = new Counts()
  const ignore = (): void => {}
  const orders = new Orders({
    backend,
    control: new NodeControl(options),
    logger: collectLogs().logger,
    counts,
    onListening: ignore,
    fanOut: new FanOut(counts, new Latency()),
    channels,
    logLimits: { maxMessages: 10, maxBytes: 1000, maxUndeliveredBytes: 1000, onUndelivered: ignore },
    maxBackfillBytes: 1000,
    received: ignore,
    forget: ignore,
    copies: { number: 1, retentionMs: 1000, retain: () => null, letGo: ignore },
  })
  await orders.start()
  const channel = new Channel('news', null)
  channel.keepsLog = true
  channels.set(channel.name, channel)
  orders.add(channel)
  await until('the first broker to be asked', () => backend.first.asked.includes('news'))
  const since = { beacon: makeBeacon(backend.second.nextMs, 2), count: 0 }
  const seeker = { owner: {}, deadline: new Deadline(60_000), node: null, isSession: false }
  const located = orders.locate(channel, since, seeker)
  backend.owner = backend.second
  orders.rearranged()
  expect(await located, 'in the old order').toBe('away')
  expect(await orders.locate(channel, since, seeker), 'in the new order').toBe('here')
  await orders.close()
})
