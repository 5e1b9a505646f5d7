import type { Connection } from './connection.ts'
import type { Link } from './link.ts'
import { uptimeMs } from '../time/uptime.ts'

/** A newer connection is not dropped in this time, in ms. Our client sends `auth` as soon as its connection is open. */
const GRACE_MS = 1000

/**
 * The WebSockets that have not authenticated, up to a limit, until their sockets are gone. An attacker could open the maximum number
 * and send nothing, to keep other clients out. So a new connection replaces the oldest one that has sent nothing for a second. A
 * connection that is being authenticated keeps its place, because many honest clients that connect at once must not drop each
 * other.
 */
export class Unauthenticated {
  readonly #max: number
  /** In the order of their arrival. */
  readonly #entries = new Map<Connection, { readonly link: Link; readonly since: number }>()

  constructor(max: number) {
    this.#max = max
  }

  add(connection: Connection, link: Link): void {
    this.#entries.set(connection, { link, since: uptimeMs() })
  }

  /** The connection has authenticated or is gone. */
  delete(connection: Connection): void {
    this.#entries.delete(connection)
  }

  /**
   * Returns whether there is room for one more connection. If there is none, ends an old connection to make room.
   *
   * @param dropped Called with the connection that was ended.
   */
  makeRoom(dropped: (link: Link) => void): boolean {
    if (this.#entries.size < this.#max) return true
    const latest = uptimeMs() - GRACE_MS
    for (const [connection, { link, since }] of this.#entries) {
      if (since > latest) return false
      if (connection.isAuthenticating) continue
      this.#entries.delete(connection)
      connection.close('authTimeout')
      // A connection counts until its socket is gone, so it is ended at once.
      link.terminate()
      dropped(link)
      return true
    }
    return false
  }
}
