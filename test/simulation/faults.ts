import type { Broker } from './broker.ts'
import { injectBrokerFault, isBrokerFault } from './brokers/faults.ts'
import type { RedisCluster } from './brokers/redisCluster.ts'
import type { Actor } from './clients.ts'
import type { Cluster, SimulatedNode } from './cluster.ts'
import type { SimulatedRequest } from './http.ts'
import type { BrokerFault } from './brokers/profiles.ts'
import type { Fault, Profile } from './profiles.ts'
import type { Random } from './random.ts'
import type { SimulatedSocket } from './socket.ts'
import type { World } from './world.ts'

/** The parts of a run to which faults can happen. */
export interface Targets {
  readonly world: World
  readonly broker: Broker
  /** The Redis Cluster that has the messages, if the profile has several brokers. */
  readonly brokers: RedisCluster | null
  readonly cluster: Cluster
  readonly clients: readonly Actor[]
  readonly channels: readonly string[]
  readonly sockets: ReadonlySet<SimulatedSocket>
  readonly requests: ReadonlySet<SimulatedRequest>
}

/** Injects the faults of the profile until `end`. Returns a function that ends the lasting ones. */
export function injectFaults(targets: Targets, profile: Profile, end: number): () => void {
  const { world } = targets
  const [least, most] = profile.everyMs
  const later = (): void => {
    const inMs = world.random.between(least, most)
    if (Date.now() + inMs > end) return
    setTimeout(() => {
      const fault = world.random.weighted(profile.faults)
      if (inject(fault, targets, profile)) world.counts.add(`fault: ${fault}`)
      later()
    }, inMs)
  }
  later()
  return () => {
    for (const { route } of targets.clients) route.webSockets = 'through'
  }
}

/** The difference of the next broker's clock: none, seconds, or an hour, as after a mistake with daylight saving time. */
function clockStepMs(random: Random): number {
  if (random.chance(0.5)) return 0
  return random.chance(0.2) ? -3_600_000 : random.between(-8000, 2000)
}

/** Returns false if there was nothing to which the fault could happen. */
function inject(fault: Fault | BrokerFault, targets: Targets, { nodes, isCovered }: Profile): boolean {
  const { world, broker, cluster, clients, sockets, requests } = targets
  const { random, trace } = world
  const { staying } = cluster
  const node: SimulatedNode | undefined = random.pick(staying)
  const socket = random.pick([...sockets])
  trace?.add('FAULT', fault)
  if (isBrokerFault(fault)) return injectBrokerFault(fault, targets)
  switch (fault) {
    case 'node killed':
      if (node === undefined) return false
      node.crash()
      setTimeout(() => cluster.start(), random.between(100, 3000))
      return true
    case 'node killed, clients away':
      if (node === undefined) return false
      node.crash()
      setTimeout(() => cluster.start(), random.between(100, 3000))
      // They come back when the leases of the node are over.
      for (const client of clients) if (random.chance(0.5)) client.leave(random.between(5000, 25_000))
      return true
    case 'node drained':
      if (node === undefined) return false
      replace(targets, node, () => {})
      return true
    case 'node killed as another one ends':
      if (node === undefined) return false
      replace(targets, node, () => {
        const killed: SimulatedNode | undefined = random.pick(cluster.staying)
        killed?.crash()
        cluster.start()
      })
      return true
    case 'node added':
      if (staying.length >= nodes[1] + 1) return false
      cluster.start()
      return true
    case 'broker link cut':
      node?.backend.cut()
      return node !== undefined
    case 'broker link half-open':
      node?.backend.halfOpen(random.between(1000, 3500))
      return node !== undefined
    case 'broker link slow':
      node?.backend.stall(random.between(200, 4000))
      return node !== undefined
    case 'command link cut':
      node?.backend.cutCommands()
      return node !== undefined
    case 'command link slow':
      node?.backend.stallCommands(random.between(200, 5000))
      return node !== undefined
    case 'socket cut':
      socket?.cut()
      return socket !== undefined
    case 'socket stalled':
      socket?.stall(random.between(500, 8000))
      return socket !== undefined
    case 'requests cut': {
      const hit = [...requests].filter(() => random.chance(0.5))
      for (const request of hit) request.cut()
      return hit.length > 0
    }
    case 'WebSockets blocked': {
      const { route } = random.pick(clients)
      route.webSockets = random.pick(['refused', 'swallowed'])
      setTimeout(() => (route.webSockets = 'through'), random.between(3000, 25_000))
      for (const open of route.sockets) open.cut()
      return true
    }
    case 'client away':
      random.pick(clients).leave(random.between(0, isCovered ? 4000 : 20_000))
      return true
    case 'broker loses its number':
      broker.forget(clockStepMs(random))
      return broker.isUp
    case 'broker restarted':
    case 'broker failed over':
      if (!broker.isUp) return false
      broker.fail({
        downMs: random.between(0, 3000),
        losesData: fault === 'broker restarted',
        clockStepMs: clockStepMs(random),
      })
      return true
  }
}

/** Like a rolling restart, this starts the new node before it drains the old one. `ended` is called when the old one ends. */
function replace({ world, cluster }: Targets, node: SimulatedNode, ended: () => void): void {
  const drainMs = world.random.between(2000, 4000)
  const next = cluster.start()
  const drainWhenReady = (): void => {
    if (next.isHealthy) void node.drain(drainMs).then(ended)
    else if (next.isAlive) setTimeout(drainWhenReady, 100)
  }
  setTimeout(drainWhenReady, 100)
}
