import { brokerProfiles, type BrokerFault } from './brokers/profiles.ts'
import type { BroadcasterOptions } from '../../server/src/options.ts'
import type { Random } from './random.ts'
import { faultless, unreliable, type Conditions } from './world.ts'

/** A fault of a whole node, connection, client or broker. */
export type Fault =
  | 'node killed'
  | 'node killed, clients away'
  | 'node killed as another one ends'
  | 'node drained'
  | 'node added'
  | 'broker link cut'
  | 'broker link half-open'
  | 'broker link slow'
  | 'command link cut'
  | 'command link slow'
  | 'socket cut'
  | 'socket stalled'
  | 'requests cut'
  | 'WebSockets blocked'
  | 'client away'
  | 'broker loses its number'
  | 'broker restarted'
  | 'broker failed over'

/** The faults and the options of a run. */
export interface Profile {
  readonly name: string
  readonly nodes: readonly [least: number, most: number]
  readonly conditions: Conditions
  /** The weights of the faults. */
  readonly faults: Partial<Record<Fault | BrokerFault, number>>
  /** The time between two faults, in ms. */
  readonly everyMs: readonly [least: number, most: number]
  readonly options: (random: Random) => BroadcasterOptions
  /**
   * Recovery covers all faults: they happen one at a time with time to recover, every node has every channel, and the logs are
   * large enough. Then no client may be told of a gap. With several brokers, slots move: then only channels whose slots move, or
   * whose server gets another control slot, may have a gap, and `publish()` always works.
   */
  readonly isCovered: boolean
  /**
   * Each client has a channel of its own, of which there are always as many copies as the options say. `safe`: a channel that it
   * has had for two seconds may not have a gap.
   */
  readonly ownChannels?: 'safe' | 'counted'
  /**
   * The messages are in a Redis Cluster: with a broker for each master, or with one `meeting` place at the owner of a slot. The
   * guarantee is for messages of SPUBLISH and of `publish()`.
   */
  readonly brokers?: 'several' | 'meeting'
}

const ample = (): BroadcasterOptions => ({})

/** Logs and buffers that reach their limits. */
const tiny = (random: Random): BroadcasterOptions => ({
  recovery: {
    window: random.between(2, 20) * 1000,
    maxMessages: random.between(2, 12),
    maxBytes: random.between(1500, 4000),
    // Without this limit, a log does not drop messages that a session has not received.
    ...(random.chance(0.5) && { maxTotalBytes: random.between(3000, 10_000) }),
  },
  limits: { bufferedBytes: random.between(100, 1500) },
})

const profiles: readonly Profile[] = [
  {
    name: 'calm',
    nodes: [1, 3],
    conditions: faultless,
    faults: { 'client away': 1 },
    everyMs: [2000, 8000],
    options: ample,
    isCovered: true,
  },
  {
    name: 'flaky network',
    nodes: [2, 3],
    conditions: unreliable,
    faults: {
      'socket cut': 4,
      'socket stalled': 1,
      'requests cut': 2,
      'WebSockets blocked': 1,
      'client away': 1,
      'broker link slow': 1,
      'command link slow': 1,
    },
    everyMs: [300, 2500],
    options: ample,
    isCovered: false,
  },
  {
    name: 'crashing nodes',
    nodes: [2, 4],
    conditions: { ...faultless, slow: 0.05, slowMs: 100, silently: 0.1 },
    faults: {
      'node killed': 3,
      'node added': 1,
      'broker link cut': 3,
      'broker link half-open': 2,
      'socket cut': 1,
    },
    everyMs: [500, 4000],
    options: ample,
    isCovered: false,
  },
  {
    name: 'slow readers',
    nodes: [1, 3],
    conditions: { ...faultless, slow: 0.05, slowMs: 100, answerLost: 0.03 },
    faults: {
      'socket stalled': 6,
      'socket cut': 1,
      'client away': 1,
      'broker link cut': 1,
      'requests cut': 1,
    },
    everyMs: [300, 2000],
    options: tiny,
    isCovered: false,
  },
  {
    name: 'broker restarts',
    nodes: [1, 3],
    conditions: { ...faultless, slow: 0.05, slowMs: 200 },
    faults: {
      'broker restarted': 3,
      'broker loses its number': 4,
      'broker failed over': 3,
      'node killed': 1,
      'node added': 2,
      'broker link cut': 1,
      'command link cut': 1,
      'socket cut': 1,
    },
    everyMs: [800, 4000],
    options: ample,
    isCovered: false,
  },
  {
    name: 'rolling restarts',
    nodes: [2, 3],
    conditions: { ...faultless, slow: 0.05, slowMs: 50 },
    faults: { 'node drained': 1 },
    everyMs: [8000, 12_000],
    options: ample,
    isCovered: true,
  },
  {
    name: 'covered faults',
    nodes: [3, 4],
    conditions: {
      ...unreliable,
      slowMs: 100,
      silently: 0.1,
      recoveryLost: 0,
      recoveryDamaged: 0,
      recoveryLate: 0,
    },
    faults: {
      'node killed': 2,
      'node drained': 2,
      'broker link cut': 2,
      'broker link half-open': 2,
      'command link cut': 1,
      'socket cut': 3,
      'requests cut': 2,
      'WebSockets blocked': 1,
      'client away': 1,
    },
    everyMs: [8000, 12_000],
    options: ample,
    isCovered: true,
  },
  {
    name: 'many nodes',
    nodes: [6, 9],
    conditions: {
      ...faultless,
      slow: 0.05,
      slowMs: 100,
      silently: 0.1,
      recoveryLost: 0.1,
      recoveryDamaged: 0.4,
      recoveryLate: 0.1,
    },
    faults: {
      'node killed': 4,
      'node added': 1,
      'broker link cut': 3,
      'broker link half-open': 1,
      'command link slow': 1,
      'socket cut': 3,
      'client away': 2,
    },
    everyMs: [300, 3000],
    options: (random) => (random.chance(0.3) ? tiny(random) : ample()),
    isCovered: false,
  },
  {
    name: 'everything',
    nodes: [2, 4],
    conditions: unreliable,
    faults: {
      'node killed': 2,
      'node drained': 2,
      'node added': 1,
      'broker link cut': 2,
      'broker link half-open': 1,
      'broker link slow': 1,
      'command link cut': 1,
      'command link slow': 1,
      'socket cut': 4,
      'socket stalled': 3,
      'requests cut': 2,
      'WebSockets blocked': 1,
      'client away': 1,
      'broker loses its number': 1,
      'broker restarted': 1,
      'broker failed over': 1,
    },
    everyMs: [300, 3000],
    options: (random) => (random.chance(0.5) ? tiny(random) : ample()),
    isCovered: false,
  },
]

/** Profiles with `recovery.copies`. */
const copiedProfiles: readonly Profile[] = [
  {
    name: 'copies',
    nodes: [3, 4],
    conditions: { ...faultless, slow: 0.05, slowMs: 100, silently: 0.1 },
    faults: {
      'node killed': 5,
      'node killed, clients away': 2,
      'node killed as another one ends': 2,
      'node drained': 1,
      'broker link cut': 2,
      'broker link half-open': 1,
      'command link cut': 1,
      'socket cut': 2,
      'requests cut': 1,
      'client away': 1,
    },
    everyMs: [7000, 9000],
    options: () => ({ recovery: { copies: 2 } }),
    isCovered: false,
    ownChannels: 'safe',
  },
  {
    name: 'copies, lost messages',
    nodes: [3, 4],
    conditions: {
      ...faultless,
      slow: 0.05,
      slowMs: 100,
      duplicated: 0.1,
      recoveryLost: 0.15,
      recoveryLate: 0.1,
    },
    faults: { 'node drained': 1, 'node killed': 1, 'socket cut': 6, 'requests cut': 2, 'client away': 3 },
    everyMs: [500, 3000],
    options: () => ({ recovery: { copies: 2, window: 5000 } }),
    isCovered: false,
    ownChannels: 'counted',
  },
  {
    name: 'copies and everything',
    nodes: [2, 5],
    conditions: unreliable,
    faults: {
      'node killed': 3,
      'node drained': 2,
      'node added': 1,
      'broker link cut': 2,
      'broker link half-open': 1,
      'broker link slow': 1,
      'command link cut': 1,
      'command link slow': 1,
      'socket cut': 4,
      'requests cut': 2,
      'client away': 1,
      'broker restarted': 1,
      'broker failed over': 1,
    },
    everyMs: [300, 3000],
    options: (random) => {
      const { recovery, limits } = random.chance(0.5) ? tiny(random) : ample()
      return { recovery: { ...recovery, copies: random.between(2, 3) }, ...(limits && { limits }) }
    },
    isCovered: false,
  },
]

/** The seeds of the profiles with several brokers begin here. */
const FIRST_OF_BROKERS = 1_000_000

/**
 * The profile of a seed. Negative seeds are of the profiles with copies. Large ones are of the profiles with several
 * brokers. These were added later, and the runs of all other seeds stayed the same.
 */
export function profileOf(seed: number): Profile {
  if (seed >= FIRST_OF_BROKERS) return brokerProfiles[(seed - FIRST_OF_BROKERS) % brokerProfiles.length]!
  return seed < 0 ? copiedProfiles[-seed % copiedProfiles.length]! : profiles[seed % profiles.length]!
}

/** All profiles, each with a function that gives its seeds: the first one for 0, the next one for 1, and so on. */
export const seeded: readonly { readonly profile: Profile; readonly seed: (nth: number) => number }[] = [
  ...profiles.map((profile, index) => ({ profile, seed: (nth: number) => nth * profiles.length + index })),
  ...copiedProfiles.map((profile, index) => ({
    profile,
    seed: (nth: number) => -((nth + 1) * copiedProfiles.length + index),
  })),
  ...brokerProfiles.map((profile, index) => ({
    profile,
    seed: (nth: number) => FIRST_OF_BROKERS + nth * brokerProfiles.length + index,
  })),
]
