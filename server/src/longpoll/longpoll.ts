import {
  commonVersion,
  readClientName,
  readGeneration,
  reasons,
  type Auth,
  type Parsed,
  type Subscribe,
} from '@broadcaster/protocol'
import { randomUUID } from 'node:crypto'
import { readAuthData, type Access, type Authenticate } from '../clients/access.ts'
import {
  answer,
  authRefused,
  badBody,
  channelRefused,
  expired,
  nodeFull,
  nodeUnavailable,
  type Answer,
} from './answers.ts'
import type { Abort } from './clientAbort.ts'
import type { NodeControl } from '../cluster/nodeControl.ts'
import type { Endings } from '../clients/endings.ts'
import { ChannelRefused, isOfBroker, NodeFull } from '../errors.ts'
import type { Hub } from '../hub/hub.ts'
import { overLimit } from '../clients/refusals.ts'
import type { Counts } from '../metrics/counts.ts'
import type { EventLogger } from '../logger.ts'
import { isMatch, type Match } from '../input/match.ts'
import type { NewNames } from '../clients/newNames.ts'
import type { Limits } from '../limits.ts'
import { Polls } from './polls.ts'
import type { Moment, Revocations } from '../clients/revocations.ts'
import { recheckRevocation, SessionChannels } from './sessionChannels.ts'
import { SessionEnds } from './sessionEnds.ts'
import { sessionId, type SessionOwner, type SessionStore } from '../backends/sessions.ts'
import { Undelivered } from '../channels/undelivered.ts'

export interface LongPollHost {
  readonly hub: Hub
  readonly control: NodeControl
  readonly sessions: SessionStore
  readonly access: Access
  readonly revocations: Revocations
  readonly endings: Endings
  readonly newNames: NewNames
  readonly limits: Limits
  readonly logger: EventLogger
  readonly counts: Counts
  readonly timeoutMs: number
  readonly pollTimeMs: number
  /** The maximum time for a confirmation of Redis, in ms. */
  readonly brokerTimeoutMs: number
  /** Whether the additions of the protocol are enabled. */
  readonly recovery: boolean
  /** A session was created. Connections that it replaces must end. */
  authenticated(auth: Auth): void
  /** Whether a newer connection of this client has ended this session. */
  isFenced(client: string | null, generation: number): boolean
  /** Whether the node is draining. Polls do not wait long then, so that clients move to another node. */
  isDraining(): boolean
}

/** The long-poll transport. Handles each request of a session. */
export class LongPoll {
  readonly #host: LongPollHost
  readonly #undelivered = new Undelivered()
  readonly #channels: SessionChannels
  readonly #ends: SessionEnds
  readonly #polls: Polls

  constructor(host: LongPollHost) {
    this.#host = host
    this.#channels = new SessionChannels(host, this.#undelivered)
    this.#ends = new SessionEnds(host, this.#undelivered)
    this.#polls = new Polls(host, this.#undelivered, this.#channels, this.#ends)
    host.control.register({
      endPoll: (message) => {
        // A poll on another node, to which the session has moved, replaces this poll.
        if (message.seq !== null) this.#undelivered.moved(message.session)
        this.#polls.end(message)
      },
      endSession: ({ session }) => {
        this.#undelivered.end(session)
        this.#polls.drop(session)
      },
      pollChannel: (message) => {
        if (message.position === null) this.#undelivered.forget(message.session, message.channel)
        this.#polls.change(message)
      },
    })
  }

  /** The number of polls that wait on this node. */
  get waiting(): number {
    return this.#polls.size
  }

  /** Handles a request. `begun` is the moment at which it began. `known` is the id of the session, if the token is known. */
  handle(
    parsed: Parsed,
    authenticate: Authenticate,
    abort: Abort,
    begun: Moment,
    known?: string,
  ): Promise<Answer> {
    const token = parsed.kind === 'bad' ? undefined : parsed.token
    const id = token === undefined ? null : (known ?? sessionId(token))
    const message = parsed.kind === 'message' ? parsed.message : null
    // Thousands of polls wait at the same time. So they do not wait in more async functions than necessary.
    const answered =
      id !== null && message?.__type === 'poll'
        ? this.#polls.serve(id, message, abort)
        : this.#answer(id, parsed, authenticate, abort, begun)
    return answered.catch((error: unknown) => {
      if (error instanceof ChannelRefused) return channelRefused(error.channel)
      // The session comes from another node. Its client polls again, on this node or on one with room.
      if (error instanceof NodeFull) return nodeFull(CHANNELS_FULL)
      // The client can repeat the request.
      const isAboutChannel = message?.__type === 'subscribe' || message?.__type === 'unsubscribe'
      return this.#failed(error, isAboutChannel ? { channel: message.channel } : {})
    })
  }

  /** Answers a request that is not a poll. */
  async #answer(
    id: string | null,
    parsed: Parsed,
    authenticate: Authenticate,
    abort: Abort,
    begun: Moment,
  ): Promise<Answer> {
    const message = parsed.kind === 'message' ? parsed.message : null
    if (id === null) {
      if (message?.__type === 'auth') return this.#authenticate(message, authenticate, begun)
      return parsed.kind === 'bad' ? badBody(parsed.reason) : expired()
    }
    switch (message?.__type) {
      case 'auth':
        if (isAnswer(await this.#touch(id))) return this.#authenticate(message, authenticate, begun)
        return answer(200, { __type: 'unknown' })
      case 'subscribe':
        return this.#subscribe(id, message, abort)
      case 'unsubscribe':
        return this.#unsubscribe(id, message.channel)
      default:
        return this.#other(id, parsed)
    }
  }

  #failed(error: unknown, channel: { channel?: string }): Answer {
    const { hub, logger } = this.#host
    const isBug = !isOfBroker(error)
    // While the node knows that Redis is unavailable or in trouble, this has already been logged.
    const isKnown = !isBug && (!hub.isListening || hub.trouble !== null)
    logger[isKnown ? 'debug' : 'error']({ event: 'requestFailed', err: error }, 'A long-poll request failed')
    return isBug
      ? answer(500, { __type: 'serverError', ...channel, reason: reasons.serverError })
      : answer(503, { __type: 'serverError', ...channel, reason: reasons.brokerUnavailable })
  }

  /** The client has a connection of this generation. Ends a poll of an older one. */
  fence(client: string, generation: number): void {
    this.#polls.fence(client, generation)
  }

  /** Ends a session, and its poll on any node. */
  async endSession(id: string): Promise<void> {
    const poller = await this.#host.sessions.end(id)
    await this.#channels.tellPoller(poller, { type: 'endSession', session: id })
  }

  /** Takes the channel from all sessions whose context matches. */
  revoke(match: Match, channel: string): Promise<void> {
    return this.#channels.revoke(match, channel)
  }

  /** Ends all sessions whose context matches. */
  async endSessions(match: Match): Promise<void> {
    for await (const [id, session] of this.#host.sessions.all()) {
      if (isMatch(match, session.context)) await this.endSession(id)
    }
  }

  /** Releases what is retained for expired sessions. Must be called periodically. */
  sweep(): void {
    this.#undelivered.sweep()
    this.#polls.sweep()
  }

  /** Messages from other nodes may have been missed. */
  missed(): void {
    this.#polls.missed()
  }

  /** Answers all waiting polls now. */
  endPolls(): void {
    this.#polls.endAll()
  }

  // -- requests

  async #authenticate(auth: Auth, authenticate: Authenticate, begun: Moment): Promise<Answer> {
    const { revocations, sessions, limits, recovery } = this.#host
    const data = readAuthData(auth, limits.authBytes)
    if (data === null) return authRefused(reasons.authTooLarge)
    const access = await authenticate(data)
    if (!access.isAllowed) return authRefused(access.reason)
    const token = randomUUID()
    const version = recovery ? commonVersion(auth.__v) : 0
    const identity = {
      auth: access.auth,
      context: access.context,
      version,
      client: readClientName(auth),
      generation: readGeneration(auth),
      ...(access.endsAt !== Infinity && { endsAt: access.endsAt }),
    }
    const id = sessionId(token)
    if (!(await sessions.create(id, identity, limits.connections))) {
      return nodeFull(overLimit('connections', 'there are too many sessions'))
    }
    const isCutOff = (): boolean => revocations.hasDisconnected(begun, access.context)
    if (isCutOff()) {
      await sessions.end(id)
      // The client was revoked while `canConnect` was running. It has to send a new request.
      return nodeUnavailable()
    }
    recheckRevocation(this.#host, async () => {
      if (isCutOff()) await this.endSession(id)
    })
    this.#host.authenticated(auth)
    const ok = { __type: 'authOk', __token: token } as const
    return { ...answer(200, version > 0 ? { ...ok, __v: version } : ok), token }
  }

  async #subscribe(id: string, message: Subscribe, abort: Abort): Promise<Answer> {
    const session = await this.#host.sessions.identify(id)
    const refusal = this.#ends.answerFor(id, session)
    if (refusal !== null) return refusal
    const reply = await this.#channels.subscribe(id, session!, message, abort)
    // The credentials may have ended meanwhile.
    return this.#ends.isOver(session!) ? this.#ends.answerFor(id, session)! : reply
  }

  async #unsubscribe(id: string, channel: string): Promise<Answer> {
    const session = await this.#touch(id)
    if (isAnswer(session)) return session
    return (await this.#channels.remove(id, channel))
      ? answer(200, { __type: 'unsubscribeOk', channel })
      : expired()
  }

  async #other(id: string, parsed: Parsed): Promise<Answer> {
    const session = await this.#touch(id)
    if (isAnswer(session)) return session
    if (parsed.kind !== 'noChannel') return answer(200, { __type: 'unknown' })
    const type = parsed.type === 'subscribe' ? 'subscribeError' : 'unsubscribeError'
    return answer(200, { __type: type, channel: '', reason: reasons.channelExpected })
  }

  /** Prolongs the session for a request. Returns the session, or the answer if it can not be used. */
  async #touch(id: string): Promise<SessionOwner | Answer> {
    const session = await this.#host.sessions.touch(id)
    return this.#ends.answerFor(id, session) ?? session!
  }
}

/** The room for channels counts it. */
const CHANNELS_FULL = { kind: 'limit', reason: 'limits.channels: the node is full' } as const

function isAnswer(found: SessionOwner | Answer): found is Answer {
  return 'status' in found
}
