import { controlNames } from '../control/controlNames.ts'
import { runSaltOf } from './controlChannel.ts'
import type { Names } from './redisRights.ts'
import { tagOf } from './slots.ts'

/** The names that belong to the order of one broker. `controlChannel` is the one of the order. */
export interface OrderNames extends Names {
  /** See `Broker.tag`. */
  readonly tag: string
  /** The key of the last beacon. In a Cluster, the order is that of the server that owns its slot. */
  readonly beaconKey: string
  /** See {@link runSaltOf}. */
  readonly salt: number
}

/** The names of the only order. */
export function namesOfOnlyOrder(names: Names): OrderNames {
  const { namespace, controlChannel } = names
  return {
    ...names,
    tag: '',
    beaconKey: `${namespace}beaconNumber`,
    salt: runSaltOf(controlChannel, namespace),
  }
}

/** The names of one of the orders of a Cluster. All of them are in this slot. */
export function namesOfOrder({ namespace, controlChannel }: Names, slot: number): OrderNames {
  const tag = tagOf(slot)
  const salt = runSaltOf(controlChannel, namespace)
  return {
    namespace,
    controlChannel: controlNames(namespace, controlChannel, tag).control,
    tag,
    beaconKey: `${namespace}${tag}beaconNumber`,
    salt,
  }
}
