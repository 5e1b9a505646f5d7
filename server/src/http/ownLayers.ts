import type { Express, RequestHandler } from 'express'

/** One middleware or route, as Express keeps it in a router. The types leave it out. */
interface Layer {
  readonly handle: (...args: never[]) => unknown
}

/** Express 4 has its router under another name, and makes it with the first middleware. */
type WithRouter = Express & { readonly _router?: { stack: Layer[] }; readonly router: { stack: Layer[] } }

/**
 * Our routes are the last ones of our Express application, whatever is added to it later: `live.use(session())` runs before
 * them, as it would in an application of one's own. Only handlers of errors come after them.
 *
 * @returns whether anything was added, or set that our routes depend on
 */
export function keepLast(app: Express, routes: RequestHandler): () => boolean {
  app.use(routes)
  const layers = (): Layer[] => {
    const { _router: router = (app as WithRouter).router } = app as WithRouter
    return router.stack
  }
  const ours = layers().at(-1)!
  const ownCount = layers().length
  const rank = (layer: Layer): number => (layer === ours ? 1 : layer.handle.length === 4 ? 2 : 0)
  const isKept =
    <Args extends unknown[], R>(add: (...args: Args) => R) =>
    (...args: Args): R => {
      const result = Reflect.apply(add, app, args)
      layers().sort((one, other) => rank(one) - rank(other))
      return result
    }
  // `get`, `post`, `all` and the others come by `route`.
  Object.assign(app, { use: isKept(app.use), route: isKept(app.route) })
  return () => layers().length > ownCount || Object.hasOwn(app.settings as object, 'trust proxy fn')
}
