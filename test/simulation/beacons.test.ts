import { expect, it } from 'vitest'
import type { Beacon } from '../../server/src/backends/backend.ts'
import { MemoryBackend } from '../../server/src/backends/memory.ts'
import { makeBeacon, RUNS } from '../../server/src/channels/position.ts'
import { Beacons } from '../../server/src/cluster/beacons.ts'
import { Counts } from '../../server/src/metrics/counts.ts'
import { collectLogs } from '../support/logs.ts'
import { until, within } from '../support/waiting.ts'

// Beacons of two runs of a broker whose clock is set back an hour in between. These cases need a lost message, a restart and a
// wrong clock within milliseconds, which random faults almost never produce.
const now = Date.now()
const [old, next] = [makeBeacon(now, 1), makeBeacon(now - 3_600_000, 2)]

/** A broker that answers when the test says so, and whose beacons are lost. */
class ManualBroker extends MemoryBackend {
  readonly asked: ((n: number) => void)[] = []
  /** Whether the run was over at each question. */
  readonly areOver: boolean[] = []
  /** The nodes that receive each beacon, this one included. */
  receivers = 2

  override beacon(_floor: number, isOver = false): Promise<Beacon> {
    this.areOver.push(isOver)
    return new Promise((resolve) =>
      this.asked.push((n) => resolve({ n, nowMs: now, receivers: this.receivers })),
    )
  }
}

function start() {
  const broker = new ManualBroker({ controlChannel: 'control', timeoutMs: 1000 })
  const beacons = new Beacons(broker, collectLogs().logger, new Counts(), () => {})
  const answer = async (nth: number, n: number) => {
    await until('the question', () => broker.asked.length >= nth)
    broker.asked[nth - 1]!(n)
    await new Promise((resolve) => setImmediate(resolve))
  }
  const arrive = (n: number) => {
    beacons.advance(n)
    beacons.reached()
  }
  return { broker, beacons, answer, arrive }
}

it('fresh() does not wait for a beacon of an earlier run', async () => {
  const { beacons, answer, arrive } = start()
  const fresh = beacons.fresh()
  await answer(1, old)
  arrive(next)
  await within(fresh, 'the wait to end')
})

it('fresh() asks again when the answer is from an earlier run', async () => {
  const { broker, beacons, answer, arrive } = start()
  arrive(makeBeacon(now - 1000, 1))
  const fresh = beacons.fresh()
  await until('the question', () => broker.asked.length === 1)
  arrive(next)
  await answer(1, old)
  await answer(2, next + RUNS)
  arrive(next + RUNS)
  await within(fresh, 'the wait to end')
})

it('fresh() waits for a beacon of this run', async () => {
  const { beacons, answer, arrive } = start()
  let isFresh = false
  const fresh = beacons.fresh().then(() => (isFresh = true))
  await answer(1, old)
  arrive(old - RUNS)
  await new Promise((resolve) => setImmediate(resolve))
  expect(isFresh).toBe(false)
  arrive(old)
  await within(fresh, 'the wait to end')
})

it('a beacon that is not ahead of the current one changes nothing', () => {
  const { beacons } = start()
  expect(beacons.advance(old)).toBe(true)
  for (const late of [old, old - RUNS]) expect(beacons.advance(late)).toBe(false)
  expect(beacons.current).toBe(old)
})

it('a beacon of a run that is over changes nothing, and another run is asked for', async () => {
  const { broker, beacons, arrive } = start()
  arrive(old)
  beacons.endRun()
  arrive(old + RUNS)
  expect(beacons.current).toBe(old)
  await until('the question', () => broker.asked.length === 1)
  expect(broker.areOver).toEqual([true])
  // Another node has asked first.
  arrive(next)
  expect(beacons.current).toBe(next)
  arrive(next + RUNS)
  expect(beacons.current).toBe(next + RUNS)
})

it('fresh() asks again when the answer is of a run that is over', async () => {
  const { beacons, answer, arrive } = start()
  arrive(old)
  const fresh = beacons.fresh()
  await new Promise((resolve) => setImmediate(resolve))
  beacons.endRun()
  await answer(1, old + RUNS)
  await answer(2, next)
  await answer(3, next + RUNS)
  arrive(next)
  arrive(next + RUNS)
  await within(fresh, 'the wait to end')
})

it('a position is foreign only if this node would have received its beacon', () => {
  const { beacons, arrive } = start()
  const at = (ms: number) => ({ beacon: old + ms * RUNS, count: 0 })
  for (const ms of [0, 10, 20]) arrive(at(ms).beacon)
  const isForeign = (ms: number) => beacons.isForeign(at(ms))
  expect([-5, 0, 10, 20, 25].map(isForeign), 'earlier, later, or received').toEqual(Array(5).fill(false))
  expect([5, 15].map(isForeign)).toEqual([true, true])
  beacons.interrupt()
  arrive(at(30).beacon)
  expect([5, 15, 25].map(isForeign), 'this node may have missed them').toEqual([false, false, false])
  for (let ms = 40; ms < 60_000; ms += 10) arrive(at(ms).beacon)
  expect(isForeign(45), 'it has forgotten them').toBe(false)
  expect(isForeign(59_985)).toBe(true)
  arrive(next)
  expect(isForeign(59_985), 'another run').toBe(false)
})

/** Receives so many beacons of other nodes that this node has to wait before it sends one itself. */
function arriveInARow(arrive: (n: number) => void): number {
  let newest = old
  for (let i = 0; i < 20; i++) arrive((newest += RUNS))
  return newest
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

it('need() sends a beacon at once if few beacons are sent', async () => {
  const { broker, beacons, arrive } = start()
  arrive(old)
  beacons.need()
  await new Promise((resolve) => setImmediate(resolve))
  expect(broker.asked).toHaveLength(1)
})

it('need() waits for the next beacon of another node, and sends none, if many beacons are sent', async () => {
  const { broker, beacons, arrive } = start()
  const newest = arriveInARow(arrive)
  beacons.need()
  arrive(newest + RUNS)
  // This is longer than it would have waited (at most 120 ms).
  await pause(300)
  expect(broker.asked).toHaveLength(0)
})

it('need() sends a beacon after a wait if many beacons were sent and no further one arrives', async () => {
  const { broker, beacons, arrive } = start()
  const newest = arriveInARow(arrive)
  beacons.need()
  // This beacon is older than the newest one, so no node counts from it.
  arrive(newest - RUNS)
  await until('its own beacon', () => broker.asked.length > 0)
  expect(newest).toBe(beacons.current)
})

it('fresh() always sends a beacon, also if other nodes send many', async () => {
  const { broker, beacons, arrive } = start()
  const newest = arriveInARow(arrive)
  void beacons.fresh()
  arrive(newest + RUNS)
  await until('its own beacon', () => broker.asked.length === 1)
})

const turn = () => new Promise((resolve) => setImmediate(resolve))

/** A node that has sent many beacons, and knows that nobody else received the last one. */
async function alone() {
  const started = start()
  const { broker, beacons, answer, arrive } = started
  broker.receivers = 1
  const newest = arriveInARow(arrive) + RUNS
  void beacons.fresh()
  await answer(1, newest)
  arrive(newest)
  return { ...started, newest }
}

it('a node that is alone sends a beacon at once, however many it has sent', async () => {
  const { broker, beacons } = await alone()
  beacons.need()
  await turn()
  expect(broker.asked).toHaveLength(2)
})

it('a node that is alone has one beacon in flight for everything that needs one', async () => {
  const { broker, beacons, answer, arrive, newest } = await alone()
  beacons.need()
  await turn()
  beacons.need()
  await turn()
  expect(broker.asked, 'the one in flight is for both').toHaveLength(2)
  await answer(2, newest + RUNS)
  arrive(newest + RUNS)
  beacons.need()
  await turn()
  expect(broker.asked).toHaveLength(3)
})

it('a node that is alone sends another beacon if the one in flight was lost with the connection', async () => {
  const { broker, beacons } = await alone()
  beacons.need()
  await turn()
  beacons.interrupt()
  beacons.need()
  await turn()
  expect(broker.asked).toHaveLength(3)
})

it('a node knows that it was alone at a beacon until it hears of another node', async () => {
  const { beacons, answer, broker, arrive, newest } = await alone()
  expect(beacons.wasAloneAt(newest)).toBe(true)
  expect(beacons.wasAloneAt(newest - RUNS), 'whoever was there before is gone').toBe(true)
  expect(beacons.wasAloneAt(newest + RUNS)).toBe(false)
  arrive(newest + RUNS)
  expect(beacons.wasAloneAt(newest), 'a beacon of another node').toBe(false)
  broker.receivers = 2
  void beacons.fresh()
  await answer(2, newest + 2048)
  expect(beacons.wasAloneAt(newest + 2048)).toBe(false)
})
