import type { Connection } from './connection.ts'
import type { Link } from './link.ts'
import { uptimeMs } from '../time/uptime.ts'

/** How long a client that has just come is left in peace. Ours sends `auth` as soon as its connection is open. */
const GRACE_MS = 1000

/**
 * The WebSockets that have not authenticated, up to a limit, until they are gone. Whoever wants to keep others out opens as
 * many as there may be and says nothing. So a newcomer gets the place of the oldest one that has said nothing for a second.
 * One whose authentication is under way keeps its place: many honest clients that come at once must not drive each other out.
 */
export class Unauthenticated {
  readonly #max: number
  /** In the order in which they came. */
  readonly #entries = new Map<Connection, { readonly link: Link; readonly since: number }>()

  constructor(max: number) {
    this.#max = max
  }

  add(connection: Connection, link: Link): void {
    this.#entries.set(connection, { link, since: uptimeMs() })
  }

  /** It has authenticated, or is gone. */
  delete(connection: Connection): void {
    this.#entries.delete(connection)
  }

  /**
   * Whether there is room for one more, which may have to be made.
   *
   * @param dropped Is told of a connection that had to go.
   */
  makeRoom(dropped: (link: Link) => void): boolean {
    if (this.#entries.size < this.#max) return true
    const latest = uptimeMs() - GRACE_MS
    for (const [connection, { link, since }] of this.#entries) {
      if (since > latest) return false
      if (connection.isAuthenticating) continue
      this.#entries.delete(connection)
      connection.close('authTimeout')
      // It counts until it is gone, so it has to be gone now.
      link.terminate()
      dropped(link)
      return true
    }
    return false
  }
}
