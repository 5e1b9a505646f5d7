import { peers, type PeerName } from './peers.ts'
import type { Case, Scenario } from './scenario.ts'
import type { Size } from './session.ts'

export type Step = {
  readonly scenario: Scenario
  readonly options: Case
  readonly peer: PeerName
  readonly round: number
}

export type Wanted = {
  readonly scenarios: readonly Scenario[]
  /** If it is not empty, only these peers run. */
  readonly peers: readonly PeerName[]
  /** Only cases whose name contains this. */
  readonly caseText?: string
  readonly rounds: number
  readonly size: Size
}

/**
 * All runs in their order: all peers of a case one after the other, then the next case, and all cases again in each round.
 * Every other round takes the peers in reverse order, so that no peer is always the first.
 */
export function planRuns({ scenarios, peers: named, caseText = '', rounds, size }: Wanted): Step[] {
  const steps: Step[] = []
  for (const scenario of scenarios) {
    const usual =
      size === 'full' || named.length > 0 ? scenario.peers : (scenario.quickPeers ?? scenario.peers)
    const chosen = usual.filter((peer) => named.length === 0 || named.includes(peer))
    const present = chosen.filter((peer) => peers[peer].missing?.() === undefined)
    for (let round = 1; round <= rounds; round++) {
      for (const options of scenario.cases[size].filter(({ name }) => name.includes(caseText))) {
        const order = round % 2 === 1 ? present : present.toReversed()
        for (const peer of order) steps.push({ scenario, options, peer, round })
      }
    }
  }
  return steps
}
