import { broadcaster } from '@broadcaster/server'
import { openTelemetry } from '@broadcaster/server/opentelemetry'
import { metrics as api, type Meter } from '@opentelemetry/api'
import { AggregationTemporality, MeterProvider, MetricReader } from '@opentelemetry/sdk-metrics'

// A program that exports metrics with the SDK of OpenTelemetry, and prints what the SDK collects. It is no test of Vitest itself:
// Vitest runs Node with the condition `module`, under which Node cannot load `@opentelemetry/api`.

class Reader extends MetricReader {
  constructor() {
    // With cumulative temporality, the SDK itself repeats the last value of a series that is not observed any more.
    super({ aggregationTemporalitySelector: () => AggregationTemporality.DELTA })
  }

  protected async onForceFlush(): Promise<void> {}
  protected async onShutdown(): Promise<void> {}

  /** The points of a metric, each with its attributes. */
  async points(name: string): Promise<object[]> {
    const { resourceMetrics } = await this.collect()
    const all = resourceMetrics.scopeMetrics.flatMap(({ metrics }) => metrics)
    const found = all.find(({ descriptor }) => descriptor.name === name)
    return (found?.dataPoints ?? []).map(({ attributes, value }) => ({
      ...attributes,
      value,
      unit: found!.descriptor.unit,
    }))
  }
}

function provide(): { provider: MeterProvider; reader: Reader; meter: Meter } {
  const reader = new Reader()
  const provider = new MeterProvider({ readers: [reader] })
  return { provider, reader, meter: provider.getMeter('test') }
}

async function start() {
  const live = broadcaster({ redis: false })
  await live.ready()
  return live
}

function messageOf(call: () => unknown): string {
  try {
    call()
  } catch (error) {
    return (error as Error).message
  }
  return 'Nothing was thrown'
}

const [one, two, three] = [await start(), await start(), await start()]
const { reader, meter } = provide()
openTelemetry(one, { meter, name: 'news' })
openTelemetry(two, { meter, name: 'chat' })
const sameName = messageOf(() => openTelemetry(three, { meter, name: 'chat' }))
const noBroadcaster = messageOf(() => openTelemetry({} as never, { meter }))
const noMeter = messageOf(() => openTelemetry(three, { meter: {} as never }))
const both = await reader.points('broadcaster.channels')
const clients = await reader.points('broadcaster.clients')
const sent = await reader.points('broadcaster.sent')
await one.close()
const second = await reader.points('broadcaster.channels')
await two.close()
const none = await reader.points('broadcaster.channels')
// Without a provider it does nothing.
const stop = openTelemetry(three)
const isSame = openTelemetry(three) === stop
stop()
stop()
const global = provide()
api.setGlobalMeterProvider(global.provider)
openTelemetry(three)
const ofGlobal = await global.reader.points('broadcaster.redis.up')
await three.close()
console.log(
  JSON.stringify({ sameName, noBroadcaster, noMeter, both, clients, sent, second, none, isSame, ofGlobal }),
)
