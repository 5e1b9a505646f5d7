import cors from 'cors'
import type { Request, RequestHandler } from 'express'
import { describe } from '../input/json.ts'
import type { Logger } from '../logger.ts'
import type { ResolvedOptions } from '../options.ts'
import { isAllowed } from '../input/originList.ts'

/**
 * Whether a request may come from the origin that it says it comes from. Calls back at once, unless the application's own
 * check has to think. Where `done` throws then, `failed` is called: no caller is there any more to catch it.
 */
export type OriginCheck = (
  req: Request,
  done: (isAllowed: boolean) => void,
  failed: (error: unknown) => void,
) => void

/** Is told why a request was refused, and what would let it in. */
type OnRefused = (req: Request, reason: string) => void

export function originCheck(
  { checkOrigin: option, logger }: Pick<ResolvedOptions, 'checkOrigin' | 'logger'>,
  refused: OnRefused,
): OriginCheck {
  if (typeof option === 'function') return askEachTime(option, refused, logger)
  return (req, done) => {
    const { origin } = req.headers
    // Browsers always say one where it matters; whoever is no browser could say what he likes.
    if (origin === undefined) return done(true)
    const isIn = option === undefined ? isSameOrigin(origin, req) : isAllowed(option, origin)
    if (!isIn) refused(req, option === undefined ? whyOther(origin, req) : whyNotListed(origin))
    done(isIn)
  }
}

/** A callback that throws or rejects has refused. */
function askEachTime(option: (req: Request) => unknown, refused: OnRefused, logger: Logger): OriginCheck {
  const judge = (req: Request, answer: unknown): boolean => {
    if (answer === true) return true
    refused(req, `checkOrigin answered ${describe(answer)}, and only true lets in`)
    return false
  }
  const refuse = (req: Request, error: unknown): boolean => {
    logger.error({ err: error }, 'checkOrigin failed; the request was refused')
    refused(req, 'checkOrigin failed')
    return false
  }
  return (req, done, failed) => {
    let answer: unknown
    try {
      answer = option(req)
    } catch (error) {
      return done(refuse(req, error))
    }
    if (!(answer instanceof Object && 'then' in answer)) return done(judge(req, answer))
    void Promise.resolve(answer)
      .then(
        (settled) => judge(req, settled),
        (error: unknown) => refuse(req, error),
      )
      .then(done)
      .catch(failed)
  }
}

/** By host, as the original does it: behind a proxy that ends TLS the scheme is not known. */
function isSameOrigin(origin: string, req: Request): boolean {
  const host = ownHost(req)
  // The usual case, and what every poll of a page asks.
  if (origin === `https://${host}` || origin === `http://${host}`) return true
  const page = asPage(origin)
  return page !== null && isHostOf(page, host)
}

/** The host in any way of writing it: in capitals, with the default port of the page's scheme, IPv6 in full. */
function isHostOf(page: URL, host: string | undefined): boolean {
  if (host === undefined || !HOST.test(host)) return false
  const own = `${page.protocol}//${host}`
  return URL.canParse(own) && new URL(own).host === page.host
}

/** Nothing that would begin another part of a URL. */
const HOST = /^[^\s/?#@\\]+$/

/**
 * `null` is what sandboxed frames and files say, and most other schemes are those of native applications. Some libraries for
 * these say the WebSocket's own address, which is the original's idea of the same origin too.
 */
function asPage(origin: string): URL | null {
  const url = URL.canParse(origin) ? new URL(origin) : null
  return url !== null && PAGES.test(url.protocol) ? url : null
}

const PAGES = /^(https?|wss?):$/

/** The host that the browser asked for. A proxy's word on it counts if Express' `trust proxy` lets it count. */
function ownHost(req: Request): string | undefined {
  // Express 4 leaves the port out of `req.host`.
  const isTrusted = req.app.get('trust proxy fn') as (address: string | undefined, hop: number) => boolean
  const forwarded = isTrusted(req.socket.remoteAddress, 0) ? forwardedHost(req) : undefined
  return forwarded ?? req.headers.host
}

function forwardedHost(req: Request): string | undefined {
  return req.get('x-forwarded-host')?.split(',', 1)[0]!.trim() || undefined
}

/** Why it is not the server's own, and what to do about it. */
function whyOther(origin: string, req: Request): string {
  const page = asPage(origin)
  if (page === null) return `it is no website; ${LET_IN_BY_FUNCTION}`
  const host = ownHost(req)
  if (isHostOf(page, forwardedHost(req)))
    return "a proxy says that it is the server's own, by X-Forwarded-Host; to believe it, set Express' 'trust proxy'"
  const own = host !== undefined && URL.canParse(`http://${host}`) ? new URL(`http://${host}`) : null
  if (own?.hostname === page.hostname) {
    return `the server was asked for as ${describe(host)}: another port. A proxy has to pass Host on with its port (in nginx: $http_host); for a page of another port, ${letIn(origin)}`
  }
  return `the server was asked for as ${describe(host ?? '')}; to let it in, ${letIn(origin)}. If that is the server's own, the proxy in between has to pass Host on`
}

function whyNotListed(origin: string): string {
  const isListable = URL.canParse(origin)
  return `it is not in checkOrigin; ${isListable ? `to let it in, ${letIn(origin)}` : LET_IN_BY_FUNCTION}`
}

const LET_IN_BY_FUNCTION = 'only a function as checkOrigin can let it in'

function letIn(origin: string): string {
  return `write checkOrigin: [${JSON.stringify(origin.slice(0, MAX_ORIGIN_LENGTH))}]`
}

const MAX_ORIGIN_LENGTH = 300

/** CORS headers for an origin that is let in, and the whole answer to its preflight. */
const corsHeaders = cors<Request>({
  origin: true,
  credentials: true,
  methods: ['GET', 'POST'],
  maxAge: 600,
})

/** No origin, no browser that asks. */
export const allowCors: RequestHandler = (req, res, next) =>
  req.headers.origin === undefined ? next() : corsHeaders(req, res, next)
