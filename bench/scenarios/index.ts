import type { Scenario } from '../harness/scenario.ts'
import { bursts } from './bursts.ts'
import { channels } from './channels.ts'
import { cluster } from './cluster.ts'
import { connect } from './connect.ts'
import { copies } from './copies.ts'
import { connectPoll } from './connect-poll.ts'
import { growth } from './growth.ts'
import { idle } from './idle.ts'
import { large } from './large.ts'
import { latency } from './latency.ts'
import { longpoll } from './longpoll.ts'
import { metrics } from './metrics.ts'
import { nodes } from './nodes.ts'
import { recovery } from './recovery.ts'
import { recoveryCost } from './recovery-cost.ts'
import { single } from './single.ts'
import { slow } from './slow.ts'

/** In the order in which they run. Each scenario has its own type of cases. */
export const scenarios = [
  bursts,
  single,
  channels,
  latency,
  idle,
  connect,
  connectPoll,
  longpoll,
  slow,
  large,
  recovery,
  growth,
  recoveryCost,
  metrics,
  cluster,
  nodes,
  copies,
] as unknown as readonly Scenario[]

/** The scenarios that run by default, in a few minutes. Most bars are about them. */
export const quickScenarios: readonly string[] = [
  'bursts',
  'single',
  'channels',
  'latency',
  'idle',
  'connect',
  'longpoll',
]
