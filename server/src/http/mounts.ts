import type { Application, Express } from 'express'

/** An Express application with `parent`, which Express sets when it is mounted. The types of Express lack it. */
type Mountable = Application & { readonly parent?: Mountable }

/** One segment of a mount path, and whether the parent application compares it with case. */
interface Segment {
  readonly text: string
  readonly isCaseSensitive: boolean
}

/**
 * The paths at which an application is mounted, as far as they can be known without routing a request through Express.
 */
export class Mounts {
  readonly #mounts: { readonly parent: Mountable; readonly path: unknown }[] = []
  #isIncomplete = false
  #lastPath: string | null = null

  constructor(app: Express) {
    app.on('mount', (parent) => this.#mounts.push({ parent, path: app.mountpath }))
  }

  /**
   * Whether a request for this path reaches this application; `null` if only Express can decide it.
   *
   * @param outermost The listeners of the server's `request` event.
   */
  leadsHere(path: string, outermost: readonly unknown[] = []): boolean | null {
    // A Router does not report what is mounted in it: neither this application, nor an application that contains it.
    if (this.#mounts.length === 0 || this.#isIncomplete) return null
    if (
      outermost.some(isApplication) &&
      !this.#mounts.every(({ parent }) => outermost.includes(root(parent)))
    )
      return null
    // The patterns of Express 4 and 5 treat `//` differently.
    if (path.includes('//')) return null
    const paths = this.#mounts.flatMap(({ parent, path }) => mountPathsOf(parent, path))
    if (paths.some((segments) => segments !== null && isMountPath(segments, path))) return true
    return paths.includes(null) ? null : false
  }

  /** Called when a request has reached this application. If its path was not known, the known mounts are incomplete. */
  reached(path: string): void {
    if (path === this.#lastPath) return
    this.#lastPath = path
    if (this.leadsHere(path) === false) this.#isIncomplete = true
  }
}

/** The path of a request target, as Express reads it. The target may be a complete URL. */
export function pathOf(target = '/'): string {
  return target.replace(ORIGIN, '').split(/[?#]/, 1)[0] || '/'
}

const ORIGIN = /^[a-z][a-z\d+.-]*:\/\/[^/?#]*/i

/**
 * All paths to a mount, each as segments from the outermost application inwards; `null` for a path that is a pattern.
 */
function mountPathsOf(parent: Mountable, mountPath: unknown): (Segment[] | null)[] {
  const outer = parent.parent === undefined ? [[]] : mountPathsOf(parent.parent, parent.mountpath)
  const isCaseSensitive = parent.enabled('case sensitive routing')
  return outer.flatMap((segments) =>
    [mountPath].flat(Infinity).map((path) => {
      if (segments === null || typeof path !== 'string' || !PLAIN_PATH.test(path)) return null
      return [...segments, { text: path.replace(/\/+$/, ''), isCaseSensitive }]
    }),
  )
}

/** A path without characters that are special in the patterns of Express 4 or 5. */
const PLAIN_PATH = /^[\w\-./~%@&=,;']*$/

function root(app: Mountable): Mountable {
  return app.parent === undefined ? app : root(app.parent)
}

function isApplication(listener: unknown): boolean {
  return typeof listener === 'function' && 'mountpath' in listener
}

function isMountPath(segments: Segment[], path: string): boolean {
  let index = 0
  for (const { text, isCaseSensitive } of segments) {
    const part = path.slice(index, index + text.length)
    if (isCaseSensitive ? part !== text : part.toLowerCase() !== text.toLowerCase()) return false
    index += text.length
  }
  const rest = path.slice(index)
  return rest === '' || rest === '/'
}
