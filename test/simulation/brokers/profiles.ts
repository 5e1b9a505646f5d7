import type { BroadcasterOptions } from '../../../server/src/options.ts'
import type { Profile } from '../profiles.ts'
import { faultless, unreliable } from '../world.ts'

/** A fault of the servers of a Redis Cluster. */
export type BrokerFault =
  | 'slots moved'
  | 'control slot moved'
  | 'slot moved there and back'
  | 'server failed over'
  | 'server killed'
  | 'server restarted'
  | 'server isolated'
  | 'bus disturbed'

/** Runs with several brokers are dear, and with this window they need not be long. */
const shortWindow = (): BroadcasterOptions => ({ recovery: { window: 10_000 } })

/** Profiles with several brokers. */
export const brokerProfiles: readonly Profile[] = [
  {
    name: 'brokers, slots move',
    nodes: [2, 3],
    conditions: faultless,
    faults: { 'slots moved': 4, 'control slot moved': 2, 'slot moved there and back': 2 },
    everyMs: [1000, 4000],
    options: shortWindow,
    isCovered: true,
    brokers: 'several',
  },
  {
    name: 'brokers fail',
    nodes: [2, 3],
    conditions: { ...faultless, slow: 0.03, slowMs: 50 },
    faults: { 'server failed over': 2, 'server killed': 3, 'server restarted': 1, 'server isolated': 3 },
    everyMs: [3000, 8000],
    options: shortWindow,
    isCovered: false,
    brokers: 'several',
  },
  {
    name: 'one meeting place',
    nodes: [2, 3],
    conditions: { ...faultless, slow: 0.03, slowMs: 50 },
    faults: {
      'control slot moved': 2,
      'slot moved there and back': 1,
      'server failed over': 2,
      'server killed': 1,
      'server isolated': 2,
      'bus disturbed': 4,
      'broker link cut': 1,
    },
    everyMs: [1500, 6000],
    options: shortWindow,
    isCovered: false,
    brokers: 'meeting',
  },
  {
    name: 'brokers and everything',
    nodes: [2, 4],
    conditions: { ...unreliable, slow: 0.05, slowMs: 100 },
    faults: {
      'slots moved': 3,
      'control slot moved': 1,
      'slot moved there and back': 1,
      'server failed over': 1,
      'server killed': 1,
      'server isolated': 1,
      'node killed': 1,
      'node drained': 1,
      'node added': 1,
      'broker link cut': 2,
      'broker link half-open': 1,
      'broker link slow': 1,
      'command link cut': 1,
      'command link slow': 1,
      'socket cut': 2,
      'requests cut': 1,
      'client away': 2,
    },
    everyMs: [500, 4000],
    options: shortWindow,
    isCovered: false,
    brokers: 'several',
  },
]
