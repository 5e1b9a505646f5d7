import { SLOTS } from './slots.ts'

/** See {@link slotWithRank}. */
const slotsByRank = Array.from({ length: SLOTS }, (_, rank) => slotWithRank(rank))

/** The slots that a server says that it owns. */
export interface Claim {
  /** The epoch of the server's configuration. It grows when the server gets a slot. */
  readonly epoch: number
  readonly ranges: readonly (readonly [from: number, to: number])[]
}

interface KnownClaim extends Claim {
  /** Whether the server has answered the last question. */
  readonly isFresh: boolean
}

/**
 * The orders of a Redis Cluster: one for each master. An order is named by its control slot, which is one of the slots of
 * its server. So all nodes name orders alike, and after a failover the order is that of the new master.
 *
 * If a slot moves, both servers own it for a moment, and some publishers still use the old one. So a slot belongs to the
 * old server until that one itself says that it does not own it any more. For this reason each server is only asked about
 * its own slots.
 */
export class SlotClaims {
  readonly #claims = new Map<string, KnownClaim>()
  /** The control slot of the server that owns each slot; -1 if none does. */
  #controlSlots = new Int16Array(SLOTS).fill(-1)

  get isEmpty(): boolean {
    return this.#claims.size === 0
  }

  /** The control slots of all orders. */
  get controlSlots(): ReadonlySet<number> {
    const slots = new Set(this.#controlSlots)
    slots.delete(-1)
    return slots
  }

  /** The control slot of the order to which the slot belongs; `null` if it is not known. */
  controlSlotOf(slot: number): number | null {
    const control = this.#controlSlots[slot]!
    return control === -1 ? null : control
  }

  /**
   * All servers were asked, and these have answered, by their ids. Returns whether a slot belongs to another order than
   * before.
   */
  update(answers: ReadonlyMap<string, Claim>): boolean {
    if (answers.size === 0 || this.#isKnown(answers)) return false
    for (const [id, claim] of this.#claims) this.#claims.set(id, { ...claim, isFresh: false })
    for (const [id, { epoch, ranges }] of answers) this.#claims.set(id, { epoch, ranges, isFresh: true })
    const before = this.#controlSlots
    this.#controlSlots = controlSlotsOf([...this.#claims.values()])
    return before.some((slot, i) => slot !== this.#controlSlots[i])
  }

  /** Whether all servers have answered what they answered last. Mostly they do, and all slots are many. */
  #isKnown(answers: ReadonlyMap<string, Claim>): boolean {
    if (answers.size !== this.#claims.size) return false
    for (const [id, claim] of answers) {
      const known = this.#claims.get(id)
      if (!known?.isFresh || known.epoch !== claim.epoch || known.ranges.join() !== claim.ranges.join())
        return false
    }
    return true
  }
}

/** The control slot of the owner of each slot. */
function controlSlotsOf(claims: readonly KnownClaim[]): Int16Array<ArrayBuffer> {
  const owners = new Int16Array(SLOTS).fill(-1)
  for (const [index, { ranges }] of [...claims.entries()].sort(([, a], [, b]) => byPriority(a, b))) {
    for (const [from, to] of ranges) owners.fill(index, from, to + 1)
  }
  const controls = claims.map(() => -1)
  for (const slot of slotsByRank) {
    const owner = owners[slot]!
    if (owner !== -1 && controls[owner] === -1) controls[owner] = slot
  }
  return owners.map((owner) => (owner === -1 ? -1 : controls[owner]!))
}

/**
 * Sorts the claim that counts to the end. Of the servers that have answered, the one with the lowest epoch counts: it had
 * the slot before. Of the others, it is the one that got the slot last.
 */
function byPriority(a: KnownClaim, b: KnownClaim): number {
  if (a.isFresh !== b.isFresh) return a.isFresh ? 1 : -1
  return a.isFresh ? b.epoch - a.epoch : a.epoch - b.epoch
}

/**
 * The control slot of a server is the one with the lowest rank. The ranks halve the range of slots again and again: the
 * highest slot, then the one in the middle, then those of the quarters, and so on. Tools move the lowest slots of a server.
 * So if a small part of its slots moves, its control slot is not among them, and the server to which they move does not get
 * a lower rank. With the highest slot of each server instead, each slot that moves to a server with lower slots would change
 * the order of all its channels.
 */
function slotWithRank(rank: number): number {
  let rest = rank
  let reversed = 0
  for (let bit = 1; bit < SLOTS; bit *= 2) {
    reversed = reversed * 2 + (rest % 2)
    rest = Math.floor(rest / 2)
  }
  return SLOTS - 1 - reversed
}
