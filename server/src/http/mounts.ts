import type { Application, Express } from 'express'

/** What Express adds to an application that is mounted, and its types leave out. */
type Mountable = Application & { readonly parent?: Mountable }

/** A piece of a path, as the application that it was mounted in compares it. */
interface Piece {
  readonly text: string
  readonly isCaseSensitive: boolean
}

/** Where an application is mounted, as far as it can be known without asking Express. */
export class Mounts {
  readonly #mounts: { readonly parent: Mountable; readonly at: unknown }[] = []
  #isIncomplete = false
  #lastWay: string | null = null

  constructor(app: Express) {
    app.on('mount', (parent) => this.#mounts.push({ parent, at: app.mountpath }))
  }

  /**
   * Whether a request for this path leads here; `null` where only the application can say.
   *
   * @param outermost What the server's requests come to.
   */
  leadsHere(path: string, outermost: readonly unknown[] = []): boolean | null {
    // A Router tells nobody of what is mounted in it: not of us, nor of an application that we are in.
    if (this.#mounts.length === 0 || this.#isIncomplete) return null
    if (
      outermost.some(isApplication) &&
      !this.#mounts.every(({ parent }) => outermost.includes(root(parent)))
    )
      return null
    // Patterns of Express 4 and 5 disagree on these.
    if (path.includes('//')) return null
    const ways = this.#mounts.flatMap(({ parent, at }) => waysTo(parent, at))
    if (ways.some((pieces) => pieces !== null && isWay(pieces, path))) return true
    return ways.includes(null) ? null : false
  }

  /** A request has come out here: if by a way that we did not know of, we don't know all of them. */
  cameBy(path: string): void {
    if (path === this.#lastWay) return
    this.#lastWay = path
    if (this.leadsHere(path) === false) this.#isIncomplete = true
  }
}

/** The path of a request target, as Express reads it: it may be a whole URL. */
export function pathOf(target = '/'): string {
  return target.replace(ORIGIN, '').split(/[?#]/, 1)[0] || '/'
}

const ORIGIN = /^[a-z][a-z\d+.-]*:\/\/[^/?#]*/i

/** All ways to a mount, piece by piece from the outside; `null` for one that is a pattern. */
function waysTo(parent: Mountable, at: unknown): (Piece[] | null)[] {
  const outer = parent.parent === undefined ? [[]] : waysTo(parent.parent, parent.mountpath)
  const isCaseSensitive = parent.enabled('case sensitive routing')
  return outer.flatMap((pieces) =>
    [at].flat(Infinity).map((path) => {
      if (pieces === null || typeof path !== 'string' || !PLAIN_PATH.test(path)) return null
      return [...pieces, { text: path.replace(/\/+$/, ''), isCaseSensitive }]
    }),
  )
}

/** Without any character that is special in the patterns of Express 4 or 5. */
const PLAIN_PATH = /^[\w\-./~%@&=,;']*$/

function root(app: Mountable): Mountable {
  return app.parent === undefined ? app : root(app.parent)
}

function isApplication(listener: unknown): boolean {
  return typeof listener === 'function' && 'mountpath' in listener
}

function isWay(pieces: Piece[], path: string): boolean {
  let at = 0
  for (const { text, isCaseSensitive } of pieces) {
    const part = path.slice(at, at + text.length)
    if (isCaseSensitive ? part !== text : part.toLowerCase() !== text.toLowerCase()) return false
    at += text.length
  }
  const rest = path.slice(at)
  return rest === '' || rest === '/'
}
