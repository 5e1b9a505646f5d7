import { expect, it } from 'vitest'
import type { Beacon } from '../../server/src/backends/backend.ts'
import { MemoryBackend } from '../../server/src/backends/memory.ts'
import { Channel } from '../../server/src/channels/channel.ts'
import { makeBeacon } from '../../server/src/channels/position.ts'
import { Beacons } from '../../server/src/cluster/beacons.ts'
import { Counts } from '../../server/src/metrics/counts.ts'
import { ControlChannels } from '../../server/src/cluster/controlChannels.ts'
import { Membership } from '../../server/src/cluster/membership.ts'
import { NodeControl } from '../../server/src/cluster/nodeControl.ts'
import { Numbering } from '../../server/src/cluster/numbering.ts'
import { encodeControl } from '../../server/src/control/control.ts'
import { collectLogs } from '../support/logs.ts'
import { until } from '../support/waiting.ts'

// A channel leaves an order and joins it again while the broker confirms its first subscription. This needs a slot that moves to
// another server and back within one round trip.

/** A broker that confirms subscriptions when the test says so. */
class ManualBroker extends MemoryBackend {
  readonly asked: { readonly channels: readonly string[]; readonly confirm: () => void }[] = []

  override subscribe(channels: readonly string[]): Promise<readonly string[]> {
    return new Promise((resolve) => this.asked.push({ channels, confirm: () => resolve([]) }))
  }

  override beacon(): Promise<Beacon> {
    return new Promise(() => {})
  }
}

const turn = () => new Promise((resolve) => setImmediate(resolve))

/** A node whose connection is new. It has subscribed to its control channels. */
async function start() {
  const { logger } = collectLogs()
  const broker = new ManualBroker({ controlChannel: 'control', timeoutMs: 1000 })
  const options = { controlChannel: 'control', controlNamespace: 'bc:' }
  const control = new ControlChannels(broker, new NodeControl(options), new Counts())
  const beacons = new Beacons(broker, logger, new Counts(), () => {})
  const channels = new Map<string, Channel>()
  const limits = { maxMessages: 10, maxBytes: 1000, maxUndeliveredBytes: 1000, onUndelivered: () => {} }
  const begin = (begun: readonly Channel[]) => {
    for (const channel of begun) channel.begin(beacons.current, limits)
  }
  const numbering = new Numbering({ beacons, control, channels, logger, begin })
  const membership = new Membership({
    broker,
    beacons,
    numbering,
    logger,
    ownChannels: control.own,
    channels,
    forget: () => {},
    begin,
    ready: () => {},
  })
  void membership.up()
  broker.asked[0]!.confirm()
  await turn()
  const channel = new Channel('news', null)
  const join = async (nth: number) => {
    channels.set(channel.name, channel)
    membership.join(channel)
    await until('the subscription', () => broker.asked.length > nth)
    return broker.asked[nth]!
  }
  const leave = () => {
    channels.delete(channel.name)
    membership.leave([channel])
  }
  let ms = Date.now()
  const beaconArrives = () => {
    control.receive('control', encodeControl({ type: 'beacon', number: makeBeacon(ms++, 1) }))
  }
  return { channel, join, leave, beaconArrives }
}

it('a channel is counted from the first beacon after its subscription is confirmed', async () => {
  const { channel, join, beaconArrives } = await start()
  const subscription = await join(1)
  expect(subscription.channels).toEqual(['news'])
  beaconArrives()
  expect(channel.state).toBe('joining')
  subscription.confirm()
  await turn()
  beaconArrives()
  expect(channel.state).toBe('live')
})

it('if it has left and joined again meanwhile, the confirmation of the first subscription does not count', async () => {
  const { channel, join, leave, beaconArrives } = await start()
  const first = await join(1)
  leave()
  const second = await join(2)
  first.confirm()
  await turn()
  beaconArrives()
  expect(channel.state, 'between the two it may have missed messages').toBe('joining')
  second.confirm()
  await turn()
  beaconArrives()
  expect(channel.state).toBe('live')
})

it('if it has left after the confirmation, the next beacon does not count for it', async () => {
  const { channel, join, leave, beaconArrives } = await start()
  const first = await join(1)
  first.confirm()
  await turn()
  leave()
  const second = await join(2)
  beaconArrives()
  expect(channel.state).toBe('joining')
  second.confirm()
  await turn()
  beaconArrives()
  expect(channel.state).toBe('live')
})
