import type { Targets } from '../faults.ts'
import type { Fault } from '../profiles.ts'
import type { BrokerFault } from './profiles.ts'
import type { Server } from './server.ts'

const faults: Record<BrokerFault, true> = {
  'slots moved': true,
  'control slot moved': true,
  'slot moved there and back': true,
  'server failed over': true,
  'server killed': true,
  'server restarted': true,
  'server isolated': true,
  'bus disturbed': true,
}

export function isBrokerFault(fault: Fault | BrokerFault): fault is BrokerFault {
  return fault in faults
}

/** Returns false if there was nothing to which the fault could happen. */
export function injectBrokerFault(
  fault: BrokerFault,
  { world, brokers, cluster, channels }: Targets,
): boolean {
  const { random } = world
  if (brokers === null) return false
  const { masters } = brokers
  const server: Server | undefined = random.pick(masters)
  const other: Server | undefined = random.pick(masters.filter((each) => each !== server))
  if (server === undefined || other === undefined) return false
  switch (fault) {
    case 'slots moved': {
      const ofChannels = channels
        .map((channel) => brokers.slotOf(channel))
        .filter((slot) => server.owns(slot))
      if (ofChannels.length === 0) return false
      brokers.changes.move(
        [random.pick(ofChannels), ...(random.chance(0.5) ? server.slots.slice(0, 50) : [])],
        other,
      )
      return true
    }
    case 'control slot moved': {
      const slot = brokers.controlSlotOf(server)
      brokers.changes.move([slot], other)
      return true
    }
    case 'slot moved there and back': {
      const slot = random.chance(0.3) ? brokers.controlSlotOf(server) : brokers.slotOf(random.pick(channels))
      const owner = brokers.ownerOf(slot)
      if (owner === null || owner === other) return false
      if (random.chance(0.4)) {
        brokers.changes.lend(slot, other)
        return true
      }
      brokers.changes.move([slot], other)
      setTimeout(() => brokers.changes.move([slot], owner), random.pick([80, 120, random.between(50, 1500)]))
      return true
    }
    case 'server failed over':
      brokers.changes.failOver(server)
      return true
    case 'server killed':
      brokers.changes.kill(server)
      return true
    case 'server restarted':
      brokers.changes.restart(server)
      return true
    case 'server isolated': {
      const names = cluster.living.map(({ name }) => name)
      brokers.changes.isolate(server, new Set(names.filter(() => random.chance(0.5))))
      return true
    }
    case 'bus disturbed':
      brokers.bus.disturb(random.pick(brokers.servers), random.pick(brokers.servers))
      return true
  }
}
