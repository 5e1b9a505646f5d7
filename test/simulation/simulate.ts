import { namesOfOnlyOrder } from '../../server/src/backends/orderNames.ts'
import type { Connection } from '../../server/src/websocket/connection.ts'
import { BaseLongPollClient } from './baseLongPoll.ts'
import { BaseSocketClient } from './baseSocket.ts'
import { SimulatedBackend } from './backend.ts'
import { Broker } from './broker.ts'
import { ClusterBackend } from './brokers/backend.ts'
import { RedisCluster } from './brokers/redisCluster.ts'
import { UNNUMBERED } from './brokers/server.ts'
import { KitClient, type Actor, type Network } from './clients.ts'
import { Cluster, type MakeBackend, type SimulatedNode } from './cluster.ts'
import { Credentials } from './credentials.ts'
import { injectFaults } from './faults.ts'
import { SimulatedLink } from './link.ts'
import { Positions, Safety } from './oracle.ts'
import { profileOf, type Profile } from './profiles.ts'
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
const LAST_MESSAGES_MS = 2000
/**
 * - `faultsMs`: the least and the most time with faults
 * - `settlingMs`: longer than the longest backoff plus everything that can delay a client after it
 * - `releaseMs`: longer than nodes keep a channel, a session or a message for clients that may come back
 *
 * A second with several brokers costs as much as several others. There, servers recover within less time.
 */
const durations = {
  oneBroker: { faultsMs: [15_000, 35_000], settlingMs: 60_000, releaseMs: 90_000 },
  severalBrokers: { faultsMs: [8000, 18_000], settlingMs: 24_000, releaseMs: 24_000 },
} as const
const FOREVER_MS = 86_400_000

/** One run: some nodes, a broker and some clients, with random faults from the seed. */
export async function simulate(seed: number, { traced = false } = {}): Promise<Result> {
  const random = new Random(seed)
  const profile = profileOf(seed)
  /** Whether the gap in this channel, or in any one, is allowed in a covered profile. */
  let mayGap = (_channel: string | null): boolean => false
  const time = new VirtualTime(() => random.next())
  const trace = traced ? new Trace(() => time.now) : null
  let failure: string | null = null
  const world: World = {
    random,
    counts: new Counts(),
    trace,
    conditions: faultless,
    safety: new Safety(),
    credentials: new Credentials(seed),
    gap: (who, channel, reason) => {
      const what = channel === null ? reason : `${channel}: ${reason}`
      trace?.add(who, `told of a gap: ${what}`)
      world.counts.add('gaps')
      if (profile.isCovered && !mayGap(channel))
        world.fail(who, `told of a gap, though nothing can be lost: ${what}`)
      if (profile.ownChannels === 'safe' && world.safety.isSafe(who))
        world.fail(who, `told of a gap, though its channel had a copy: ${what}`)
    },
    fail: (who, what) => {
      trace?.add(who, `GUARANTEE BROKEN: ${what}`)
      failure ??= `${who}: ${what}`
    },
  }
  const onRejection = (error: unknown): void => world.fail('process', `unhandled rejection: ${String(error)}`)
  process.on('unhandledRejection', onRejection)
  try {
    const allowGaps = (of: typeof mayGap): void => void (mayGap = of)
    await run(world, profile, time, () => failure !== null, allowGaps)
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
  allowGaps: (mayGap: (channel: string | null) => boolean) => void,
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
  const canRunOver = options.recovery !== undefined && 'maxTotalBytes' in Object(options.recovery)
  const channels =
    profile.ownChannels !== undefined
      ? ['news', 'chat', 'x y', 'mail', 'user:5']
      : ['news', 'chat', 'x y'].slice(0, random.between(1, 3))
  const { brokers, makeBackend } = makeBrokers(world, profile, broker, channels)
  const messages = brokers ?? broker
  if (brokers !== null)
    allowGaps((channel) =>
      (channel === null ? channels : [channel]).some((each) => brokers.changes.mayGap(each)),
    )
  const cluster = new Cluster(world, makeBackend, options)
  const releases: (() => void)[] = []
  if (profile.isCovered) cluster.onStarted = (node) => void releases.push(retain(world, node, channels))
  const nodes = random.between(...profile.nodes)
  for (let i = 0; i < nodes; i++) cluster.start()

  const sockets = new Set<SimulatedSocket>()
  const positions = new Positions(world, brokers !== null)
  const network: Network = { world, broker: messages, positions, requests: new Set() }
  const routeOf = (name: string, pick = (): SimulatedNode | null => cluster.pick()): Route => {
    return { name, webSockets: 'through', pick, sockets }
  }
  const clients = makeClients(network, routeOf, canRunOver)
  trace?.add('run', `${profile.name}: ${nodes} nodes, ${clients.map(({ name }) => name).join(', ')}`)

  const { faultsMs, settlingMs, releaseMs } = durations[brokers === null ? 'oneBroker' : 'severalBrokers']
  const end = WARM_UP_MS + random.between(faultsMs[0], faultsMs[1])
  const startedAt = Date.now()
  publishUntil(world, messages, cluster, channels, startedAt + end)
  const channelsOf = (client: Actor): readonly string[] =>
    profile.ownChannels !== undefined ? [channels[clients.indexOf(client)]!] : channels
  subscribeUntil(world, clients, channelsOf, startedAt + end)
  await time.runUntil(WARM_UP_MS)

  world.conditions = profile.conditions
  const targets = { world, broker, brokers, cluster, clients, channels, sockets, requests: network.requests }
  world.credentials.askUntil(startedAt + end, cluster)
  const endFaults = injectFaults(targets, profile, startedAt + end)
  await time.runUntil(end)
  world.conditions = faultless
  endFaults()
  trace?.add('run', 'the faults end')
  if (hasFailed()) return
  await time.runUntil(end + settlingMs)

  trace?.add('run', 'the last messages')
  for (let i = 1; i <= 3; i++) {
    for (const channel of channels) publishNext(world, messages, cluster, channel)
    await time.runUntil(end + settlingMs + i * LAST_MESSAGES_MS)
  }
  if (hasFailed()) return
  for (const client of clients) client.checkCaughtUp()
  for (const name of world.credentials.unasked) world.fail(name, 'was not asked for new credentials')
  const { copies = 1 } = options.recovery || {}
  checkCopies(world, messages, clients, Math.min(copies, cluster.living.length), profile)
  if (hasFailed()) return

  trace?.add('run', 'all clients leave')
  for (const client of clients) client.leave(FOREVER_MS)
  for (const release of releases) release()
  await time.runUntil(time.now + releaseMs)
  for (const node of cluster.living) node.checkEmpty()
  messages.checkNoSubscriptions(channels)
  // The stats of `checkEmpty` arrive within this time.
  await time.runUntil(time.now + LAST_MESSAGES_MS)
}

/** The brokers of the profile. With several, `data` has only the state that nodes share. */
function makeBrokers(
  world: World,
  { brokers: kind, isCovered }: Profile,
  data: Broker,
  channels: readonly string[],
): { readonly brokers: RedisCluster | null; readonly makeBackend: MakeBackend } {
  if (kind === undefined) {
    return { brokers: null, makeBackend: (name) => new SimulatedBackend(world, data, name) }
  }
  const names = { namespace: 'bc:', controlChannel: CONTROL_CHANNEL }
  const meetingKey = kind === 'meeting' ? namesOfOnlyOrder(names).beaconKey : null
  const masters = world.random.between(2, 4)
  const brokers = new RedisCluster(world, { masters, meetingKey, isSplit: !isCovered, channels })
  const makeBackend: MakeBackend = (name, logger) =>
    new ClusterBackend({ world, cluster: brokers, data, name, names, logger })
  return { brokers, makeBackend }
}

/** Checks that enough nodes hold each channel with clients. */
function checkCopies(
  world: World,
  broker: Broker | RedisCluster,
  clients: readonly Actor[],
  copies: number,
  { ownChannels }: Profile,
): void {
  for (const { name, channels } of clients) {
    for (const channel of channels) {
      const [holders] = broker.countHolders([channel])
      const most = ownChannels !== undefined && /^(websocket|base ws)/.test(name) ? copies : Infinity
      if (holders! < copies || holders! > most)
        world.fail('broker', `${holders} nodes hold ${channel}, not ${copies}`)
    }
  }
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
function publishUntil(
  world: World,
  broker: Broker | RedisCluster,
  cluster: Cluster,
  channels: readonly string[],
  end: number,
): void {
  const { random } = world
  const meanMs = random.pick([100, 300, 1000])
  const next = (): void => {
    if (Date.now() > end) return
    const channel = random.pick(channels)
    const burst = random.chance(0.1) ? random.between(2, 15) : 1
    for (let i = 0; i < burst; i++) publishNext(world, broker, cluster, channel)
    setTimeout(next, random.between(0, 2 * meanMs))
  }
  next()
}

/** On a Redis Cluster with several brokers, some messages are of programs. On one with a meeting place, all are of nodes. */
function publishNext(world: World, broker: Broker | RedisCluster, cluster: Cluster, channel: string): void {
  const isOfProgram = broker instanceof Broker || (!broker.isBridged && world.random.chance(0.5))
  if (isOfProgram) return broker.publishNext(channel)
  const node = cluster.pick()
  if (node === null) return
  const wasHealthy = node.isHealthy
  node.backend.publish(channel, UNNUMBERED).catch((error: unknown) => {
    world.counts.add('publish() failed')
    // Servers that fail make it fail, too. And a node that follows a control slot breaks its connection.
    const isCutOff = String(error).includes('unknown whether the command was executed')
    if (wasHealthy && !broker.isSplit && !isCutOff)
      world.fail(node.name, `publish() failed: ${String(error)}`)
  })
}

/** Clients subscribe to some channels at the start. Later they unsubscribe and subscribe at random. */
function subscribeUntil(
  world: World,
  clients: readonly Actor[],
  channelsOf: (client: Actor) => readonly string[],
  end: number,
): void {
  const { random } = world
  for (const client of clients) {
    for (const channel of channelsOf(client)) if (random.chance(0.8)) client.subscribe(channel)
  }
  const next = (): void => {
    if (Date.now() > end) return
    const client = random.pick(clients)
    const channel = random.pick(channelsOf(client))
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
