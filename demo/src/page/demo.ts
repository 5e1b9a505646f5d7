import { createContext, useContext } from 'react'
import type { Ledger } from '../breakIt/ledger.ts'
import type { Network } from '../breakIt/network.ts'
import type { Prices } from '../market/prices.ts'
import type { Session } from '../session/session.ts'

/** What the parts of the page share. */
export type Demo = {
  readonly network: Network
  readonly ledger: Ledger
  readonly prices: Prices
  readonly session: Session
  readonly openAccount: () => void
}

export const DemoContext = createContext<Demo | null>(null)

export function useDemo(): Demo {
  return useContext(DemoContext)!
}
