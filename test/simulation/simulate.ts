import type { Connection } from '../../server/src/websocket/connection.ts'
import { BaseLongPollClient } from './baseLongPoll.ts'
import { BaseSocketClient } from './baseSocket.ts'
import { Broker } from './broker.ts'
import { KitClient, type Actor, type Network } from './clients.ts'
import { Cluster, type SimulatedNode } from './cluster.ts'
import { injectFaults } from './faults.ts'
import { SimulatedLink } from './link.ts'
import { Positions } from './oracle.ts'
import { profiles, type Profile } from './profiles.ts'
import { Random } from './random.ts'
import type { Route, SimulatedSocket } from './socket.ts'
import { VirtualTime } from './time.ts'
import { Trace } from './trace.ts'
import { Counts, faultless, type World } from './world.ts'

export interface Result {
  readonly seed: number
  readonly profile: string
  /** How the guarantee was broken, or `null` if it was kept. */
  readonly failure: string | null
  readonly counts: Counts
  /** The events of the run, one per line. Empty unless `traced` is set. */
  readonly trace: string
}

const CONTROL_CHANNEL = 'broadcaster'
/** The timeouts of long-poll. They are shorter than the defaults, so that more polls and sessions end within a run. */
const SERVER_TIMEOUT_MS = 4000
const CLIENT_TIMEOUT_MS = 5000

const WARM_UP_MS = 1000
/** Longer than the longest backoff plus everything that can delay a client after it. */
const SETTLING_MS = 60_000
const LAST_MESSAGES_MS = 2000
/** Longer than nodes keep a channel, a session or a message for clients that may come back. */
const RELEASE_MS = 90_000
const FOREVER_MS = 86_400_000

/** One run: some nodes, a broker and some clients, with random faults from the seed. */
export async function simulate(seed: number, { traced = false } = {}): Promise<Result> {
  const random = new Random(seed)
  const profile = profiles[seed % profiles.length]!
  const time = new VirtualTime(() => random.next())
  const trace = traced ? new Trace(() => time.now) : null
  let failure: string | null = null
  const world: World = {
    random,
    counts: new Counts(),
    trace,
    conditions: faultless,
    gap: (who, what) => {
      trace?.add(who, `told of a gap: ${what}`)
      world.counts.add('gaps')
      if (profile.isCovered) world.fail(who, `told of a gap, though nothing can be lost: ${what}`)
    },
    fail: (who, what) => {
      trace?.add(who, `GUARANTEE BROKEN: ${what}`)
      failure ??= `${who}: ${what}`
    },
  }
  const onRejection = (error: unknown): void => world.fail('process', `unhandled rejection: ${String(error)}`)
  process.on('unhandledRejection', onRejection)
  try {
    await run(world, profile, time, () => failure !== null)
  } catch (error) {
    world.fail('process', error instanceof Error ? (error.stack ?? error.message) : String(error))
  } finally {
    time.end()
    // Node emits unhandled rejections only in its own event loop.
    await new Promise((resolve) => setImmediate(resolve))
    process.off('unhandledRejection', onRejection)
  }
  return { seed, profile: profile.name, failure, counts: world.counts, trace: trace?.toString() ?? '' }
}

async function run(
  world: World,
  profile: Profile,
  time: VirtualTime,
  hasFailed: () => boolean,
): Promise<void> {
  const { random, trace } = world
  const sessionTimeoutMs = SERVER_TIMEOUT_MS
  const broker = new Broker(world, {
    controlChannel: CONTROL_CHANNEL,
    sessionTimeoutMs,
    isMonitored: random.chance(0.3),
  })
  const ofProfile = profile.options(random)
  const options = {
    controlChannel: CONTROL_CHANNEL,
    timeout: SERVER_TIMEOUT_MS,
    pollTime: random.pick([0, 50, 300]),
    ...ofProfile,
    // A page is an eighth of this, so most ranges need several pages.
    limits: { ...ofProfile.limits, backfillBytes: random.pick([800, 3000, 20_000]) },
  }
  const cluster = new Cluster(world, broker, options)
  const canRunOver = options.recovery !== undefined && 'maxTotalBytes' in Object(options.recovery)
  const channels = ['news', 'chat', 'x y'].slice(0, random.between(1, 3))
  const releases: (() => void)[] = []
  if (profile.isCovered) cluster.onStarted = (node) => void releases.push(retain(world, node, channels))
  const nodes = random.between(...profile.nodes)
  for (let i = 0; i < nodes; i++) cluster.start()

  const sockets = new Set<SimulatedSocket>()
  const network: Network = { world, broker, positions: new Positions(world), requests: new Set() }
  const routeOf = (name: string, pick = (): SimulatedNode | null => cluster.pick()): Route => {
    return { name, webSockets: 'through', pick, sockets }
  }
  const clients = makeClients(network, routeOf, canRunOver)
  trace?.add('run', `${profile.name}: ${nodes} nodes, ${clients.map(({ name }) => name).join(', ')}`)

  const end = WARM_UP_MS + random.between(15_000, 35_000)
  const startedAt = Date.now()
  publishUntil(world, broker, channels, startedAt + end)
  subscribeUntil(world, clients, channels, startedAt + end)
  await time.runUntil(WARM_UP_MS)

  world.conditions = profile.conditions
  const targets = { world, broker, cluster, clients, sockets, requests: network.requests }
  const endFaults = injectFaults(targets, profile, startedAt + end)
  await time.runUntil(end)
  world.conditions = faultless
  endFaults()
  trace?.add('run', 'the faults end')
  if (hasFailed()) return
  await time.runUntil(end + SETTLING_MS)

  trace?.add('run', 'the last messages')
  for (let i = 1; i <= 3; i++) {
    for (const channel of channels) broker.publishNext(channel)
    await time.runUntil(end + SETTLING_MS + i * LAST_MESSAGES_MS)
  }
  if (hasFailed()) return
  for (const client of clients) client.checkCaughtUp()
  if (hasFailed()) return

  trace?.add('run', 'all clients leave')
  for (const client of clients) client.leave(FOREVER_MS)
  for (const release of releases) release()
  await time.runUntil(time.now + RELEASE_MS)
  for (const node of cluster.living) node.checkEmpty()
  broker.checkNoSubscriptions(channels)
  // The stats of `checkEmpty` arrive within this time.
  await time.runUntil(time.now + LAST_MESSAGES_MS)
}

function makeClients(network: Network, routeOf: (name: string) => Route, canRunOver: boolean): Actor[] {
  const { random } = network.world
  const kinds = ['auto', 'websocket', 'longpoll', 'base ws', 'base lp'] as const
  return Array.from({ length: random.between(2, 5) }, (_, i) => {
    const kind = random.pick(kinds)
    const route = routeOf(`${kind} ${i + 1}`)
    if (kind === 'base ws') return new BaseSocketClient(network, route)
    if (kind === 'base lp') {
      return new BaseLongPollClient(network, route, 2 * SERVER_TIMEOUT_MS, canRunOver)
    }
    return new KitClient(network, route, kind, CLIENT_TIMEOUT_MS, random.pick([2000, 5000]))
  })
}

/** Subscribes to the channels on the node until the node leaves or the returned function is called. */
function retain(world: World, node: SimulatedNode, channels: readonly string[]): () => void {
  let connection: Connection | null = null
  const timer = setInterval(() => {
    if (node.isLeaving) return clearInterval(timer)
    if (connection === null) {
      connection = node.connect(new SimulatedLink(world, () => {}))
      connection?.receive('{"__type":"auth"}')
    }
    // A repeated subscribe changes nothing. The first one may fail, because the node may not be connected to the broker yet.
    for (const channel of channels) connection?.receive(JSON.stringify({ __type: 'subscribe', channel }))
  }, 500)
  return () => {
    clearInterval(timer)
    connection?.close('goingAway')
  }
}

/** Publishes at random intervals, sometimes in bursts. */
function publishUntil(world: World, broker: Broker, channels: readonly string[], end: number): void {
  const { random } = world
  const meanMs = random.pick([100, 300, 1000])
  const next = (): void => {
    if (Date.now() > end) return
    const channel = random.pick(channels)
    const burst = random.chance(0.1) ? random.between(2, 15) : 1
    for (let i = 0; i < burst; i++) broker.publishNext(channel)
    setTimeout(next, random.between(0, 2 * meanMs))
  }
  next()
}

/** Clients subscribe to some channels at the start. Later they unsubscribe and subscribe at random. */
function subscribeUntil(
  world: World,
  clients: readonly Actor[],
  channels: readonly string[],
  end: number,
): void {
  const { random } = world
  for (const client of clients) {
    for (const channel of channels) if (random.chance(0.8)) client.subscribe(channel)
  }
  const next = (): void => {
    if (Date.now() > end) return
    const client = random.pick(clients)
    const channel = random.pick(channels)
    if (client.channels.includes(channel)) {
      client.unsubscribe(channel)
      if (random.chance(0.7)) setTimeout(() => client.subscribe(channel), random.between(0, 2500))
    } else {
      client.subscribe(channel)
    }
    setTimeout(next, random.between(500, 8000))
  }
  setTimeout(next, random.between(500, 8000))
}
