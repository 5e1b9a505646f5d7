import { sleep } from '../support/waiting.ts'
import {
  brokerFaults,
  clusterFaults,
  networkFaults,
  nodeFaults,
  sentinelFaults,
  type Fault,
} from './faults.ts'
import type { ChaosNode } from './node.ts'
import { Random } from './random.ts'
import { judge, type Episode, type Report } from './report.ts'
import { World } from './world.ts'

export const scenarios = ['all', 'covered', 'copies', 'broker', 'sentinel', 'cluster', 'rolling'] as const
export type Scenario = (typeof scenarios)[number]

export type ChaosOptions = {
  readonly scenario: Scenario
  /** The run ends after this time, but not before every kind of fault has happened. */
  readonly minutes: number
  readonly nodes: number
  readonly clients: number
  readonly channels: number
  /** Messages a second, over all channels. */
  readonly rate: number
  readonly seed: number
  /** Only faults whose kind contains one of these. */
  readonly only?: readonly string[]
  /** The longest stall of a network or node. */
  readonly longestStallMs?: number
  readonly isVerbose?: boolean
  readonly log?: (line: string) => void
}

const faultsOf: Record<Scenario, readonly Fault[]> = {
  all: [...nodeFaults, ...brokerFaults],
  covered: nodeFaults,
  copies: nodeFaults.filter(({ kind }) => kind.includes('kill -9')),
  broker: brokerFaults,
  sentinel: sentinelFaults,
  cluster: [...clusterFaults, ...nodeFaults.slice(0, 3)],
  rolling: [],
}

/** This is long enough for clients to move, and short enough for a test. */
const DRAIN_MS = 2000
const PAUSE_MS = 1000
/** With two copies, a node may be killed without a gap when every channel has been held for this time. */
const SAFE_MS = 2000

/** Starts the processes, injects faults until the time is over, and reports what the clients received. */
export async function runChaos(options: ChaosOptions): Promise<Report> {
  const { scenario, seed, log = () => {} } = options
  const world = await World.start({
    ...options,
    // With copies, each client has a channel of its own.
    ...(scenario === 'copies'
      ? { channels: options.clients, perClient: 1, copies: 2 }
      : { perClient: Math.min(2, options.channels), copies: 1 }),
    modes: isPlain(scenario) ? ['websocket', 'longpoll'] : ['websocket', 'longpoll', 'auto'],
    drainMs: DRAIN_MS,
    longestStallMs: options.longestStallMs ?? 8000,
    hasSentinel: scenario === 'sentinel',
    hasCluster: scenario === 'cluster',
    isVerbose: options.isVerbose ?? false,
  })
  try {
    const episodes: Episode[] = []
    const endsAt = Date.now() + options.minutes * 60_000
    world.publisher.start(options.rate)
    await world.settle()
    log(`${options.clients} clients are subscribed; ${options.rate} messages a second`)
    if (scenario === 'rolling') {
      await restartInTurn(world, episodes, endsAt, log)
    } else {
      const { only = [''] } = options
      const faults = faultsOf[scenario].filter(({ kind }) => only.some((part) => kind.includes(part)))
      // A client that has just come back would not have had its channel for long enough.
      const hasNetwork = scenario !== 'copies'
      const network = hasNetwork && inParallel(world, new Random(seed + 2), episodes, log)
      const untilSafe = (node: ChaosNode) =>
        scenario === 'copies' ? world.untilCopied(SAFE_MS) : world.untilCovered(node)
      try {
        await oneByOne(world, new Random(seed), faults, untilSafe, episodes, endsAt, log)
      } finally {
        if (network) await network.stop()
      }
    }
    world.publisher.stop()
    await world.settle()
    const report = judge(await world.clients.results(), world.publisher, episodes, world.breaches)
    return { ...report, copiedLate: world.copiedLate }
  } finally {
    await world.stop()
  }
}

/** Whether `auto` clients, which change their transport in between, are left out. */
function isPlain(scenario: Scenario): boolean {
  return scenario === 'rolling' || scenario === 'copies'
}

/** Injects all kinds in random order, then all again. Between two faults, every client has to get all missing messages. */
async function oneByOne(
  world: World,
  random: Random,
  faults: readonly Fault[],
  untilSafe: (node: ChaosNode) => Promise<void>,
  episodes: Episode[],
  endsAt: number,
  log: (line: string) => void,
): Promise<void> {
  let isFirst = true
  for (; isFirst || Date.now() < endsAt; isFirst = false) {
    for (const fault of random.shuffle(faults)) {
      if (!isFirst && Date.now() > endsAt) break
      await sleep(random.between(0, PAUSE_MS))
      const node = random.pick(world.nodes)
      if (fault.isCovered) await untilSafe(node)
      const from = Date.now()
      await fault.run(world, random, node)
      const over = Date.now()
      if (!fault.isCovered) world.forgetHolders()
      await world.settle()
      const to = Date.now()
      episodes.push({ fault, from, over, to })
      log(`${fault.kind}: ${over - from} ms, and ${to - over} ms until all clients had everything`)
    }
  }
}

/** Cuts and stalls sockets between clients and nodes, in parallel to the other faults. */
function inParallel(world: World, random: Random, episodes: Episode[], log: (line: string) => void) {
  let isOver = false
  const done = (async () => {
    while (!isOver) {
      const fault = random.pick(networkFaults)
      const from = Date.now()
      await fault.run(world, random, world.nodes[0]!)
      episodes.push({ fault, from, over: null, to: Date.now() })
      log(fault.kind)
      await sleep(random.between(PAUSE_MS, 8 * PAUSE_MS))
    }
  })()
  return {
    stop: () => {
      isOver = true
      return done
    },
  }
}

const restart: Fault = { kind: 'node restarted (SIGTERM)', isCovered: true, run: async () => {} }

/** Restarts one node after the other. Like a deployment, it waits only for the health of each node. */
async function restartInTurn(
  world: World,
  episodes: Episode[],
  endsAt: number,
  log: (line: string) => void,
): Promise<void> {
  do {
    for (const node of world.nodes) {
      const from = Date.now()
      await node.drain()
      await node.start()
      episodes.push({ fault: restart, from, over: null, to: Date.now() })
      log(`${restart.kind}: ${Date.now() - from} ms`)
    }
  } while (Date.now() < endsAt)
}
