import type { Cluster, Redis } from 'ioredis'
import { Deadline } from '../time/deadline.ts'
import { SlotClaims, type Claim } from './slotClaims.ts'
import { slotOf } from './slots.ts'

/** How long a server has to answer. */
const ANSWER_MS = 2000

export interface TopologyOptions {
  /** The clients of the Cluster. */
  cluster(): Cluster
  /** The slot of the only order, if the servers have no sharded pub/sub or the namespace does not allow several orders. */
  readonly onlySlot: number
  readonly mayHaveSeveral: boolean
  /** Channels belong to other orders than before. */
  changed(): void
}

/** Asks the servers of a Redis Cluster which slots they own, and whether they have sharded pub/sub. */
export class Topology {
  readonly #options: TopologyOptions
  readonly #claims = new SlotClaims()
  #isSharded = false
  #refreshing: Promise<void> | null = null
  #isAgain = false

  constructor(options: TopologyOptions) {
    this.#options = options
  }

  /** Whether channels are spread over the servers. */
  get isSharded(): boolean {
    return this.#isSharded
  }

  /** The control slots of all orders. */
  get controlSlots(): ReadonlySet<number> {
    if (this.#isSharded) return this.#claims.controlSlots
    return new Set(this.#claims.isEmpty ? [] : [this.#options.onlySlot])
  }

  /** The control slot of the order of the channel; `null` if it is not known. */
  controlSlotOf(channel: string): number | null {
    if (this.#isSharded) return this.#claims.controlSlotOf(slotOf(channel))
    return this.#claims.isEmpty ? null : this.#options.onlySlot
  }

  /** Asks all servers. A call while they are asked makes that they are asked once more. Never rejects. */
  refresh(): Promise<void> {
    if (this.#refreshing !== null) {
      this.#isAgain = true
      return this.#refreshing
    }
    this.#refreshing = this.#refresh().finally(() => (this.#refreshing = null))
    return this.#refreshing
  }

  async #refresh(): Promise<void> {
    do {
      this.#isAgain = false
      const answers = new Map<string, Claim>()
      let isSupported = true
      const asked = this.#options
        .cluster()
        .nodes()
        .map(async (node) => {
          const [own, supports] = await Promise.all([ownClaim(node), hasShardedPubSub(node)])
          if (!supports) isSupported = false
          if (own !== null) answers.set(own.id, own)
        })
      await new Deadline(ANSWER_MS).wait(Promise.allSettled(asked).then(() => {}))
      // Brokers connect with the settings of a connection of the Cluster. It may have lost all of them meanwhile.
      if (answers.size === 0 || this.#options.cluster().nodes().length === 0) continue
      const wasSharded = this.#isSharded
      this.#isSharded = isSupported && this.#options.mayHaveSeveral
      // Answers that come later are not added any more.
      const hasChanged = this.#claims.update(new Map(answers))
      if (hasChanged || wasSharded !== this.#isSharded) this.#options.changed()
    } while (this.#isAgain)
  }
}

/** The line of CLUSTER NODES about the server that answers; `null` if there is none. */
async function ownClaim(node: Redis): Promise<(Claim & { readonly id: string }) | null> {
  const lines = String(await node.cluster('NODES')).split('\n')
  const line = lines.find((each) => each.split(' ')[2]?.split(',').includes('myself'))
  if (line === undefined) return null
  const [id, , flags, , , , epoch, , ...slots] = line.split(' ')
  const isMaster = flags!.split(',').includes('master')
  const ranges = slots
    // A slot that is on its way is in brackets.
    .filter((slot) => isMaster && /^\d/.test(slot))
    .map((slot) => slot.split('-').map(Number))
    .map(([from, to]) => [from!, to ?? from!] as const)
  return { id: id!, epoch: Number(epoch), ranges }
}

async function hasShardedPubSub(node: Redis): Promise<boolean> {
  try {
    await node.call('PUBSUB', 'SHARDNUMSUB')
    return true
  } catch (error) {
    const { name, message } = error as Error
    return !(name === 'ReplyError' && /unknown|syntax/i.test(message))
  }
}
