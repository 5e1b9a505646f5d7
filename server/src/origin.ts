import cors from 'cors'
import type { Request, RequestHandler } from 'express'
import type { ResolvedOptions } from './options.ts'

/** Whether a request may come from the origin that it says it comes from. A callback that throws has refused. */
export function originCheck({ checkOrigin: option, logger }: ResolvedOptions): (req: Request) => boolean {
  if (typeof option === 'function') {
    return (req) => {
      try {
        return option(req) === true
      } catch (error) {
        logger.error({ err: error }, 'checkOrigin failed; the request was refused')
        return false
      }
    }
  }
  return (req) => {
    const { origin } = req.headers
    // Browsers always say one where it matters; whoever is no browser could say what he likes.
    if (origin === undefined) return true
    return option === undefined ? isSameOrigin(origin, req) : option.includes(origin)
  }
}

/** By host, as the original does it: behind a proxy that ends TLS the scheme is not known. */
function isSameOrigin(origin: string, req: Request): boolean {
  // Express 4 leaves the port out of `req.host`; both take a proxy's word only where `trust proxy` says so.
  const forwarded = req.app.enabled('trust proxy') ? req.get('x-forwarded-host') : undefined
  const host = (forwarded ?? req.get('host'))?.split(',')[0]?.trim()
  try {
    return new URL(origin).host === host
  } catch {
    // `null`, from a sandboxed frame or a file, or nonsense.
    return false
  }
}

/** CORS headers, and the answer to preflights, for the origins that are let in. */
export function corsFor(isAllowed: (req: Request) => boolean): RequestHandler {
  const withHeaders = cors<Request>((req, done) => {
    const allowed = isAllowed(req)
    done(null, {
      origin: allowed,
      credentials: allowed,
      methods: ['GET', 'POST'],
      maxAge: 600,
      preflightContinue: false,
    })
  })
  // No origin, no browser that asks.
  return (req, res, next) => (req.headers.origin === undefined ? next() : withHeaders(req, res, next))
}
