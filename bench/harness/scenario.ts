import type { Figure, Figures } from './figures.ts'
import type { PeerName } from './peers.ts'
import type { Session, Size } from './session.ts'

/** One size of a scenario. Its name identifies it in tables and bars. */
export type Case = { readonly name: string }

export type Scenario<C extends Case = Case> = {
  readonly name: string
  /** A sentence: the load, and what the scenario shows. */
  readonly about: string
  /** The peers to which it applies, in the order of the tables. */
  readonly peers: readonly PeerName[]
  /** The peers of a quick run, if not all. */
  readonly quickPeers?: readonly PeerName[]
  /** The columns of its table. The first one is in the plot. */
  readonly columns: readonly [Figure, ...Figure[]]
  readonly cases: Readonly<Record<Size, readonly C[]>>
  /** For scenarios whose plot has lines: the line of a case, and its x coordinate. */
  readonly point?: (options: C) => { readonly line: string; readonly x: number }
  run(session: Session, options: C): Promise<Figures>
}
