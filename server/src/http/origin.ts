import cors from 'cors'
import type { Request, RequestHandler } from 'express'
import { describe } from '../input/json.ts'
import type { EventLogger } from '../logger.ts'
import type { ResolvedOptions } from '../options.ts'
import { isAllowed } from '../input/originList.ts'

/**
 * Checks whether a request may come from its `Origin`. Calls back synchronously, unless the application's own check is
 * asynchronous. If `done` throws in the asynchronous case, `failed` is called, because there is no caller that could
 * catch the error.
 */
export type OriginCheck = (
  req: Request,
  done: (isAllowed: boolean) => void,
  failed: (error: unknown) => void,
) => void

/** Receives the reason why a request was refused, and what would allow it. */
type OnRefused = (req: Request, reason: string) => void

export function originCheck(
  { checkOrigin: option, logger }: Pick<ResolvedOptions, 'checkOrigin' | 'logger'>,
  refused: OnRefused,
): OriginCheck {
  if (typeof option === 'function') return askEachTime(option, refused, logger)
  return (req, done) => {
    const { origin } = req.headers
    // Browsers send the header wherever it matters. Other clients could send any value, so a missing header is allowed.
    if (origin === undefined) return done(true)
    const isIn = option === undefined ? isSameOrigin(origin, req) : isAllowed(option, origin)
    if (!isIn) refused(req, option === undefined ? whyOther(origin, req) : whyNotListed(origin))
    done(isIn)
  }
}

/** A callback that throws or rejects refuses the request. */
function askEachTime(
  option: (req: Request) => unknown,
  refused: OnRefused,
  logger: EventLogger,
): OriginCheck {
  const judge = (req: Request, answer: unknown): boolean => {
    if (answer === true) return true
    refused(req, `checkOrigin returned ${describe(answer)}; only true allows the request`)
    return false
  }
  const refuse = (req: Request, error: unknown): boolean => {
    logger.error({ event: 'checkOriginFailed', err: error }, 'checkOrigin failed; the request was refused')
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

/** Compares only the host, as the original does: behind a proxy that terminates TLS, the scheme is not known. */
function isSameOrigin(origin: string, req: Request): boolean {
  const host = ownHost(req)
  // The fast path for the common case. It runs at every poll of a page.
  if (origin === `https://${host}` || origin === `http://${host}`) return true
  const page = asPage(origin)
  return page !== null && isHostOf(page, host)
}

/**
 * Whether the page has this host, in any notation: upper case, the default port of the page's scheme, uncompressed
 * IPv6.
 */
function isHostOf(page: URL, host: string | undefined): boolean {
  if (host === undefined || !HOST.test(host)) return false
  const own = `${page.protocol}//${host}`
  return URL.canParse(own) && new URL(own).host === page.host
}

/** A host without characters that begin another part of a URL. */
const HOST = /^[^\s/?#@\\]+$/

/**
 * Parses an origin that is a website. Sandboxed frames and files send `null`, and native applications mostly send other
 * schemes; both return `null`. Some native libraries send the URL of the WebSocket itself (`ws:`, `wss:`), which the
 * original accepts as the same origin too.
 */
function asPage(origin: string): URL | null {
  const url = URL.canParse(origin) ? new URL(origin) : null
  return url !== null && PAGES.test(url.protocol) ? url : null
}

const PAGES = /^(https?|wss?):$/

/** The host that the browser requested. `X-Forwarded-Host` is used only if Express' `trust proxy` trusts the proxy. */
function ownHost(req: Request): string | undefined {
  // `req.host` is not used, because Express 4 removes the port from it.
  const isTrusted = req.app.get('trust proxy fn') as (address: string | undefined, hop: number) => boolean
  const forwarded = isTrusted(req.socket.remoteAddress, 0) ? forwardedHost(req) : undefined
  return forwarded ?? req.headers.host
}

function forwardedHost(req: Request): string | undefined {
  return req.get('x-forwarded-host')?.split(',', 1)[0]!.trim() || undefined
}

/** Explains why the origin is not the server's own, and how to fix it. */
function whyOther(origin: string, req: Request): string {
  const page = asPage(origin)
  if (page === null) return `it is not a website; ${LET_IN_BY_FUNCTION}`
  const host = ownHost(req)
  if (isHostOf(page, forwardedHost(req)))
    return "it equals X-Forwarded-Host of a proxy, which is not trusted; to trust it, set Express' 'trust proxy'"
  const own = host !== undefined && URL.canParse(`http://${host}`) ? new URL(`http://${host}`) : null
  if (own?.hostname === page.hostname) {
    return `the Host of the request is ${describe(host)}, with another port. A proxy must forward Host with its port (in nginx: $http_host); to allow a page of another port, ${letIn(origin)}`
  }
  return `the Host of the request is ${describe(host ?? '')}; to allow the origin, ${letIn(origin)}. If it is the server's own origin, the proxy must forward Host`
}

function whyNotListed(origin: string): string {
  const isListable = URL.canParse(origin)
  return `it is not in checkOrigin; ${isListable ? `to allow it, ${letIn(origin)}` : LET_IN_BY_FUNCTION}`
}

const LET_IN_BY_FUNCTION = 'only a function as checkOrigin can allow it'

function letIn(origin: string): string {
  return `write checkOrigin: [${JSON.stringify(origin.slice(0, MAX_ORIGIN_LENGTH))}]`
}

const MAX_ORIGIN_LENGTH = 300

/** Adds CORS headers for an allowed origin, and answers its preflight request. */
const corsHeaders = cors<Request>({
  origin: true,
  credentials: true,
  methods: ['GET', 'POST'],
  maxAge: 600,
})

/** A request without `Origin` needs no CORS headers. */
export const allowCors: RequestHandler = (req, res, next) =>
  req.headers.origin === undefined ? next() : corsHeaders(req, res, next)
