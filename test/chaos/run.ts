import { sleep } from '../support/waiting.ts'
import {
  brokerFaults,
  clusterFaults,
  networkFaults,
  nodeFaults,
  sentinelFaults,
  type Fault,
} from './faults.ts'
import { Random } from './random.ts'
import { judge, type Episode, type Report } from './report.ts'
import { World } from './world.ts'

export const scenarios = ['all', 'covered', 'broker', 'sentinel', 'cluster', 'rolling'] as const
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
  broker: brokerFaults,
  sentinel: sentinelFaults,
  cluster: clusterFaults,
  rolling: [],
}

/** This is long enough for clients to move, and short enough for a test. */
const DRAIN_MS = 2000
const PAUSE_MS = 1000

/** Starts the processes, injects faults until the time is over, and reports what the clients received. */
export async function runChaos(options: ChaosOptions): Promise<Report> {
  const { scenario, seed, log = () => {} } = options
  const world = await World.start({
    ...options,
    perClient: Math.min(2, options.channels),
    modes: scenario === 'rolling' ? ['websocket', 'longpoll'] : ['websocket', 'longpoll', 'auto'],
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
      const network = inParallel(world, new Random(seed + 2), episodes, log)
      try {
        await oneByOne(world, new Random(seed), faults, episodes, endsAt, log)
      } finally {
        await network.stop()
      }
    }
    world.publisher.stop()
    await world.settle()
    return judge(await world.clients.results(), world.publisher, episodes, world.breaches)
  } finally {
    await world.stop()
  }
}

/** Injects all kinds in random order, then all again. Between two faults, every client has to get all missing messages. */
async function oneByOne(
  world: World,
  random: Random,
  faults: readonly Fault[],
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
      if (fault.isCovered) await world.untilCovered(node)
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
