import type { Figure, Figures } from './figures.ts'
import type { PeerName } from './peers.ts'
import type { Session, Size } from './session.ts'

/** One size of a scenario. Its name is what tables and bars call it. */
export type Case = { readonly name: string }

export type Scenario<C extends Case = Case> = {
  readonly name: string
  /** A sentence: what happens, and what it shows. */
  readonly about: string
  /** The peers that it makes sense for, in the order of the tables. */
  readonly peers: readonly PeerName[]
  /** Those of a quick run, where time is short. */
  readonly quickPeers?: readonly PeerName[]
  /** The columns of its table; the first one is the plot's. */
  readonly columns: readonly [Figure, ...Figure[]]
  readonly cases: Readonly<Record<Size, readonly C[]>>
  /** Where the cases are points on a line: which line, and where on it. */
  readonly point?: (options: C) => { readonly line: string; readonly x: number }
  run(session: Session, options: C): Promise<Figures>
}
