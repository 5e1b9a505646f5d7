import type { Parsed } from '@broadcaster/protocol'
import type { NextFunction, Request, Response } from 'express'
import type { Access, Authenticate } from '../clients/access.ts'
import type { Address } from '../clients/addresses.ts'
import type { Admission } from '../clients/admission.ts'
import type { KnownSession } from '../clients/knownSessions.ts'
import type { Moment, Revocations } from '../clients/revocations.ts'
import { overLimit, type Refusal } from '../clients/refusals.ts'
import type { Counts } from '../metrics/counts.ts'
import type { EventLogger } from '../logger.ts'
import { tooManyRequests, type Answer } from '../longpoll/answers.ts'
import { ClientAbort, type Abort } from '../longpoll/clientAbort.ts'
import { readBody, type Body } from './body.ts'
import type { BodyLimits } from './bodyLimits.ts'
import { NO_ROOM_RETRY_SECONDS, setTooMany, TOKEN_RETRY_SECONDS } from './tooMany.ts'
import type { UnreadAnswers } from './unreadAnswers.ts'
import { answerUnread } from './unreadBody.ts'

/**
 * Before Node 24, `end(body)` makes two writes, of which the second one is empty, and passes both to `writev`. A single write is a fifth
 * cheaper. From Node 24 on, `end(body)` is the cheapest way.
 */
const endWritesTwice = Number.parseInt(process.versions.node, 10) < 24

/** What a long-poll request needs of the node. */
export interface LongPollNode {
  readonly admission: Admission
  readonly revocations: Revocations
  readonly access: Access
  readonly isDraining: boolean
  readonly unreadAnswers: UnreadAnswers
  readonly counts: Counts
  /** `id` is that of the session, if it is known already. */
  handle(
    parsed: Parsed,
    authenticate: Authenticate,
    abort: Abort,
    begun: Moment,
    id?: string,
  ): Promise<Answer>
}

/** Reads long-poll requests and writes the answers of the node. */
export class LongPollRequests {
  readonly #node: LongPollNode
  readonly #bodyLimits: BodyLimits
  readonly #logger: EventLogger
  #hasWarnedOfBody = false

  constructor(node: LongPollNode, bodyLimits: BodyLimits, logger: EventLogger) {
    this.#node = node
    this.#bodyLimits = bodyLimits
    this.#logger = logger
  }

  serve(req: Request, res: Response, next: NextFunction): void {
    // The moment is taken before the body is read, because reading may take long.
    const begun = this.#node.revocations.now
    readBody(req, this.#bodyLimits, (body) => {
      // A response that middleware has changed may throw when it is written.
      this.#answer(req, res, body, begun).catch(next)
    })
  }

  async #answer(req: Request, res: Response, body: Body, begun: Moment): Promise<void> {
    // The client has closed the connection while the application's code was running, or other middleware has answered.
    // No answer is needed.
    if (res.destroyed || res.writableEnded) return
    if (typeof body === 'number') return this.#refuseBody(req, res, body)
    const { sessions, addresses } = this.#node.admission
    const token = body.kind === 'bad' ? undefined : body.token
    const session = sessions.get(token)
    const address = session?.address ?? addresses.of(req)
    const retryAfter = session === undefined ? this.#admitUnknown(address) : this.#admitKnown(session)
    if (retryAfter !== null) return this.#send(setTooMany(res, retryAfter), tooManyRequests(), {})
    const abort = new ClientAbort()
    res.on('close', () => abort.closed(res))
    let answer: Answer | null = null
    try {
      const authenticate: Authenticate = (auth) => this.#node.access.connect(auth, req)
      answer = await this.#node.handle(body, authenticate, abort, begun, session?.id)
      this.#write(res, answer, abort, token)
    } finally {
      if (session === undefined) this.#settleUnknown(token, address, answer)
      else this.#settleKnown(token!, address, answer)
    }
    const { refusal } = answer
    if (refusal !== undefined) this.#node.admission.refusals.note(refusal, { address: address.key })
  }

  #write(res: Response, answer: Answer, abort: ClientAbort, token = ''): void {
    if (res.destroyed || res.writableEnded) return
    abort.isAnswered = true
    if (res.headersSent) res.end(answer.body)
    // The connection is closed, so that the client's next request reaches another node.
    else this.#send(res, answer, this.#node.isDraining ? { Connection: 'close' } : {})
    this.#node.unreadAnswers.add(res, token, answer.body.length)
  }

  #send(
    res: Response,
    { status, body, bytes = Buffer.byteLength(body) }: Answer,
    more: Record<string, string>,
  ): void {
    this.#node.counts.sentBytes.longpoll += bytes
    res.writeHead(status, {
      'Content-Type': 'application/json; charset=utf-8',
      'Content-Length': bytes,
      'Cache-Control': 'no-store',
      ...more,
    })
    // Without a socket, an earlier answer of a pipelining client is being sent.
    if (endWritesTwice && body !== '' && res.socket !== null) {
      res.write(body)
      res.socket.uncork()
      res.end()
    } else res.end(body)
  }

  /**
   * Applies the rate limit to a request of a session that is known here. Returns the seconds to wait if there were too
   * many requests, otherwise `null`.
   */
  #admitKnown(session: KnownSession): number | null {
    const { sessions } = this.#node.admission
    if (sessions.takeRequest(session)) return null
    this.#note(session.address, overLimit('requestsPerSecond', 'too many requests of one session'))
    return TOKEN_RETRY_SECONDS
  }

  /**
   * Applies the limits of the address to a request whose session is not known yet. The request takes a place of the
   * address, as its session will. Returns the seconds to wait if a limit is exceeded, otherwise `null`.
   */
  #admitUnknown(address: Address): number | null {
    const { addresses } = this.#node.admission
    if (!addresses.takeRequest(address)) {
      this.#note(address, overLimit('requestsPerSecond', 'too many requests of one address'))
      return TOKEN_RETRY_SECONDS
    }
    if (addresses.enter(address)) return null
    this.#note(address, overLimit('connectionsPerAddress', 'too many sessions of one address'))
    return NO_ROOM_RETRY_SECONDS
  }

  /**
   * Called after the node has answered a request with an unknown session. Adds the session if its token is valid, and
   * otherwise frees the place.
   */
  #settleUnknown(token: string | undefined, address: Address, answer: Answer | null): void {
    const { addresses, sessions } = this.#node.admission
    if (answer?.token !== undefined) sessions.add(answer.token, address)
    else if (token !== undefined && answer?.status === 200) {
      sessions.add(token, address)
      // The session was on another node before, or has sent no request for long. So it is not a new request of the
      // address.
      addresses.putBackRequest(address)
    } else addresses.leave(address)
  }

  /** Called after a request of a known session. The session may have ended, and its client may have got a new one. */
  #settleKnown(token: string, address: Address, answer: Answer | null): void {
    const { addresses, sessions } = this.#node.admission
    if (answer === null || (answer.status !== 401 && answer.token === undefined)) return
    sessions.end(token)
    if (answer.token !== undefined && addresses.enter(address)) sessions.add(answer.token, address)
  }

  #refuseBody(req: Request, res: Response, status: 408 | 413 | 415 | 500 | 503): void {
    if (status === 500) this.#warnBodyLost()
    else if (status === 415)
      this.#node.admission.refusals.note(
        { kind: 'frame', reason: 'A compressed body' },
        { address: this.#node.admission.addresses.of(req).key },
      )
    else this.#note(this.#node.admission.addresses.of(req), BODY_REFUSALS[status])
    // The rest of the body may still come, but too late.
    if (status === 408 || status === 503) res.set('Connection', 'close')
    answerUnread(req, res, status, this.#bodyLimits.message)
  }

  #note({ key }: Address, refusal: Refusal): void {
    this.#node.admission.refusals.note(refusal, { address: key })
  }

  #warnBodyLost(): void {
    if (this.#hasWarnedOfBody) return
    this.#hasWarnedOfBody = true
    this.#logger.error(
      { event: 'bodyMissing' },
      'The body of a long-poll request has been read by other middleware, which left nothing in req.body: mount the broadcaster before it',
    )
  }
}

const BODY_REFUSALS: Record<408 | 413 | 503, Refusal> = {
  408: { kind: 'limit', reason: 'The body was not received in time' },
  413: overLimit('messageBytes', 'the body is too large'),
  503: overLimit('totalBufferedBytes', 'too many bodies are being received'),
}
