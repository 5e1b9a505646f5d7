import type { Express, RequestHandler } from 'express'

/** A middleware or route in the stack of an Express router. It is missing from the types. */
interface Layer {
  readonly handle: (...args: never[]) => unknown
}

/** Express 4 has its router in `_router`, and creates it with the first middleware. */
type WithRouter = Express & { readonly _router?: { stack: Layer[] }; readonly router: { stack: Layer[] } }

/**
 * Keeps our routes at the end of our Express application, whatever is added to it later. So `live.use(session())` runs
 * before our routes, as it would in an ordinary application. Only error handlers come after them.
 *
 * @returns a function that tells whether the application was extended, or whether a setting that our routes depend on
 * was changed
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
  // `get`, `post`, `all` and the other methods call `route`.
  Object.assign(app, { use: isKept(app.use), route: isKept(app.route) })
  return () => layers().length > ownCount || Object.hasOwn(app.settings as object, 'trust proxy fn')
}
