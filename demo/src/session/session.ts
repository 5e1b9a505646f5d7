import type { AuthData } from '@broadcaster/client'
import type { Network } from '../breakIt/network.ts'
import type { User } from '../../tokens.ts'

export type TokenState = { readonly expiresAt: number | null; readonly count: number }

/** A token with less time left is not used for another connection. */
const SOON_MS = 10_000

let sessions = 0

/** Who uses the page. `auth` is called for each connection, also when the server says that the token ends. */
export class Session {
  readonly id = sessions++
  readonly user: User | null
  readonly #network: Network
  readonly #listeners = new Set<() => void>()
  #token: string | null = null
  #state: TokenState = { expiresAt: null, count: 0 }
  #isForged = false

  constructor(user: User | null, network: Network) {
    this.user = user
    this.#network = network
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  readonly getState = (): TokenState => this.#state

  get token(): string | null {
    return this.#token
  }

  /** The option of the client. */
  readonly auth = async (): Promise<AuthData> => {
    if (this.#isForged) return { token: `${this.#token}x` }
    if (this.user === null) return {}
    const { expiresAt } = this.#state
    if (expiresAt === null || expiresAt - Date.now() < SOON_MS) await this.renew()
    return { token: this.#token }
  }

  /** Gets a new token. Rejects with the reason of the server. */
  async renew(): Promise<void> {
    const answer = await this.#network.fetch('/api/sign-in', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(this.user),
      signal: new AbortController().signal,
    })
    const { token, expiresInMs, error } = JSON.parse(await answer.text())
    if (answer.status !== 200) throw new Error(error)
    this.#token = token
    this.#state = { expiresAt: Date.now() + expiresInMs, count: this.#state.count + 1 }
    for (const listener of this.#listeners) listener()
  }

  /** From the next connection on, the signature is wrong. */
  forge(isForged: boolean): void {
    this.#isForged = isForged
  }
}
