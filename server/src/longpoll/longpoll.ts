import {
  PROTOCOL_VERSION,
  reasons,
  type Auth,
  type Parsed,
  type Poll as PollMessage,
  type Subscribe,
} from '@broadcaster/protocol'
import { randomUUID } from 'node:crypto'
import { readAuthData, type Access, type Authenticate } from '../clients/access.ts'
import {
  answer,
  authRefused,
  channelRefused,
  empty,
  expired,
  nodeUnavailable,
  repeated,
  badBody,
  type Answer,
} from './answers.ts'
import { readClientName, readGeneration } from '../clients/clientName.ts'
import type { ControlMessage } from '../control/control.ts'
import { Deadline } from '../time/deadline.ts'
import type { Departure } from './departure.ts'
import { ChannelRefused } from '../errors.ts'
import type { Hub } from '../hub/hub.ts'
import type { Logger } from '../logger.ts'
import { isMatch, type Match } from '../input/match.ts'
import type { Limits } from '../options.ts'
import { Poll, type PollHost } from './poll.ts'
import type { Moment, Revocations } from '../clients/revocations.ts'
import { asText, nodeOf, revokedChannels, startingPlaces } from './sessionPlaces.ts'
import { SharedTexts } from './sharedTexts.ts'
import { lookAgain, SessionChannels } from './sessionChannels.ts'
import {
  sessionId,
  sessionLife,
  type Session,
  type SessionLife,
  type SessionStore,
} from '../backends/sessions.ts'
import { Undelivered } from '../channels/undelivered.ts'

export interface LongPollHost {
  readonly hub: Hub
  readonly sessions: SessionStore
  readonly access: Access
  readonly revocations: Revocations
  readonly limits: Limits
  readonly logger: Logger
  readonly timeoutMs: number
  readonly pollTimeMs: number
  /** How long Redis may take to confirm, in ms. */
  readonly brokerTimeoutMs: number
  /** The additions of the protocol are on. */
  readonly recovery: boolean
  /** A session was made: connections that it replaces end. */
  authenticated(auth: Auth): void
  /** Whether a newer connection of this client has ended this session. */
  isFenced(client: string | null, generation: number): boolean
  /** Whether polls should not wait long, so that clients find another node. */
  isDraining(): boolean
}

/** A client that is sent back to a draining node again and again must not do so in a busy loop. */
const DRAINING_WAIT_MS = 1000

/** The long-poll transport: sessions in the store, polls on this node. */
export class LongPoll {
  readonly #host: LongPollHost
  readonly #polls = new Map<string, Poll>()
  /** The newest poll of each client that gave itself a name. */
  readonly #newest = new Map<string, Poll>()
  readonly #undelivered = new Undelivered()
  readonly #channels: SessionChannels
  readonly #pollHost: PollHost
  readonly #life: SessionLife
  #lastPoll = 0

  constructor(host: LongPollHost) {
    this.#host = host
    this.#life = sessionLife(host.timeoutMs)
    this.#channels = new SessionChannels(host, this.#undelivered, (message) => this.control(message))
    this.#pollHost = {
      hub: host.hub,
      maxAnswerBytes: host.limits.answerBytes,
      texts: new SharedTexts(),
      deadline: () => this.#deadline(),
    }
  }

  /** How many polls wait on this node. */
  get waiting(): number {
    return this.#polls.size
  }

  /** Serves one request, which has begun at that moment. */
  async handle(
    parsed: Parsed,
    authenticate: Authenticate,
    departure: Departure,
    begun: Moment,
  ): Promise<Answer> {
    const token = parsed.kind === 'bad' ? undefined : parsed.token
    const id = token === undefined ? null : sessionId(token)
    const message = parsed.kind === 'message' ? parsed.message : null
    try {
      if (id === null) {
        if (message?.__type === 'auth') return await this.#authenticate(message, authenticate, begun)
        return parsed.kind === 'bad' ? badBody(parsed.reason) : expired()
      }
      switch (message?.__type) {
        case 'auth':
          if ((await this.#read(id)) === null) return await this.#authenticate(message, authenticate, begun)
          return answer(200, { __type: 'unknown' })
        case 'poll':
          return await this.#poll(id, message, departure)
        case 'subscribe':
          return await this.#subscribe(id, message)
        case 'unsubscribe':
          return await this.#unsubscribe(id, message.channel)
        default:
          return await this.#other(id, parsed)
      }
    } catch (error) {
      if (error instanceof ChannelRefused) return channelRefused(error.channel)
      // Nothing was done that the client may not ask for again. With Redis away or unable it is no news, and logged already.
      const { hub } = this.#host
      const isNews = hub.isListening && hub.trouble === null
      const log = isNews ? this.#host.logger.error : this.#host.logger.debug
      log.call(this.#host.logger, { err: error }, 'A long-poll request failed')
      const isAboutChannel = message?.__type === 'subscribe' || message?.__type === 'unsubscribe'
      const channel = isAboutChannel ? { channel: message.channel } : {}
      return answer(503, { __type: 'serverError', ...channel, reason: reasons.brokerUnavailable })
    }
  }

  /** Another node says something about a session. */
  control(message: ControlMessage): void {
    switch (message.type) {
      case 'endPoll': {
        // By a poll on another node, where the session goes on.
        if (message.seq !== null) this.#undelivered.moved(message.session)
        const poll = this.#pollOf(message)
        if (poll === null) return
        poll.isRepeated = poll.seq === message.seq
        return this.#drop(message.session, poll)
      }
      case 'endSession': {
        this.#undelivered.end(message.session)
        const poll = this.#polls.get(message.session)
        if (poll !== undefined) this.#drop(message.session, poll)
        return
      }
      case 'pollChannel':
        if (message.position === null) this.#undelivered.forget(message.session, message.channel)
        return this.#pollOf(message)?.change(message.channel, message.position)
    }
  }

  /** The very poll that is meant: a later one of the session has begun with what the message says. */
  #pollOf({ session, poll: pollId }: { readonly session: string; readonly poll: string }): Poll | null {
    const poll = this.#polls.get(session)
    return poll?.id === pollId ? poll : null
  }

  /** The client has a connection of that generation: a poll of an older one waits no longer. */
  fence(client: string, generation: number): void {
    const poll = this.#newest.get(client)
    if (poll !== undefined && poll.generation < generation) poll.end()
  }

  /** Ends a session, on whatever node its poll waits. */
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

  /** The poll is not the session's any more: it is answered with nothing. */
  #drop(id: string, poll: Poll): void {
    this.#polls.delete(id)
    poll.end()
  }

  /** To be called now and then: lets go of what is kept for sessions that have expired. */
  sweep(): void {
    this.#undelivered.sweep()
  }

  /** Answers all waiting polls now. */
  endPolls(): void {
    for (const poll of this.#polls.values()) poll.end()
  }

  // -- requests

  async #authenticate(auth: Auth, authenticate: Authenticate, begun: Moment): Promise<Answer> {
    const { revocations, sessions, limits, recovery } = this.#host
    const data = readAuthData(auth, limits.authBytes)
    if (data === null) return authRefused(reasons.authTooLarge)
    const access = await authenticate(data)
    if (!access.isAllowed) return authRefused()
    const token = randomUUID()
    const isVersioned = recovery && typeof auth.__v === 'number' && auth.__v >= PROTOCOL_VERSION
    await sessions.create(sessionId(token), {
      auth: access.auth,
      context: access.context,
      version: isVersioned ? PROTOCOL_VERSION : 0,
      client: readClientName(auth),
      generation: readGeneration(auth),
    })
    const id = sessionId(token)
    const isCutOff = (): boolean => revocations.hasDisconnected(begun, access.context)
    if (isCutOff()) {
      await sessions.end(id)
      // The client asks anew, with a request that is not of before.
      return nodeUnavailable()
    }
    lookAgain(this.#host, async () => {
      if (isCutOff()) await this.endSession(id)
    })
    this.#host.authenticated(auth)
    const ok = { __type: 'authOk', __token: token } as const
    return { ...answer(200, isVersioned ? { ...ok, __v: PROTOCOL_VERSION } : ok), token }
  }

  async #subscribe(id: string, message: Subscribe): Promise<Answer> {
    const session = await this.#read(id)
    return session === null ? expired() : this.#channels.subscribe(id, session, message)
  }

  async #unsubscribe(id: string, channel: string): Promise<Answer> {
    if ((await this.#read(id)) === null || !(await this.#channels.remove(id, channel))) return expired()
    return answer(200, { __type: 'unsubscribeOk', channel })
  }

  async #other(id: string, parsed: Parsed): Promise<Answer> {
    if ((await this.#read(id)) === null) return expired()
    if (parsed.kind !== 'noChannel') return answer(200, { __type: 'unknown' })
    const type = parsed.type === 'subscribe' ? 'subscribeError' : 'unsubscribeError'
    return answer(200, { __type: type, channel: '', reason: reasons.channelExpected })
  }

  async #poll(id: string, message: PollMessage, departure: Departure): Promise<Answer> {
    const { hub, sessions, timeoutMs, pollTimeMs } = this.#host
    // From now on changes of the session's channels reach this poll; what changed before is in the session.
    const older = this.#polls.get(id)
    if (older !== undefined) {
      older.isRepeated = older.seq === message.seq
      older.end()
    }
    const reader = () => this.#undelivered.reader(id, this.#life.pollingMs)
    const poll = new Poll(this.#pollHost, `${hub.node}/${++this.#lastPoll}`, message.seq, reader)
    this.#polls.set(id, poll)
    departure.onabort = () => poll.end()
    let client: string | null = null
    try {
      const session = await sessions.beginPoll(id, poll.id)
      if (session === null || this.#isFenced(session)) {
        this.#undelivered.end(id)
        return expired()
      }
      client = session.client
      poll.generation = session.generation
      if (client !== null) {
        // Its fence may be on its way still.
        this.fence(client, poll.generation)
        this.#newest.set(client, poll)
      }
      // On this node it has been ended already.
      if (nodeOf(session.poller) !== hub.node) await this.#channels.endPoll(id, session.poller, message.seq)
      const revoked = revokedChannels(session, message)
      if (revoked.length > 0) return answer(200, ...revoked)
      const places = startingPlaces(session, message)
      reader().keepOnly(places)
      await Promise.all([...places].map(([channel, place]) => poll.watch(channel, place)))
      const longestMs = this.#host.isDraining() ? DRAINING_WAIT_MS : timeoutMs - pollTimeMs
      await poll.news(longestMs, pollTimeMs)
      if (this.#isFenced(session)) return expired()
      const isOurs = this.#polls.get(id) === poll && !departure.aborted
      if (isOurs && poll.refusals.size > 0) return await this.#withdraw(id, poll, session)
      if (session.version > 0) return isOurs ? poll.answer(true) : empty()
      if (isOurs) return await this.#baseAnswer(id, poll, message, session)
      return poll.isRepeated ? repeated() : empty()
    } finally {
      departure.onabort = null
      poll.stop()
      if (this.#polls.get(id) === poll) this.#polls.delete(id)
      if (client !== null && this.#newest.get(client) === poll) this.#newest.delete(client)
    }
  }

  /** The broker refuses channels that the session has had until now. */
  async #withdraw(id: string, { refusals }: Poll, { version }: Session): Promise<Answer> {
    const { sessions } = this.#host
    if (version === 0) {
      // As for a gap: it begins anew, and is told when it asks for the channel.
      await sessions.end(id)
      return expired()
    }
    const channels = [...refusals]
    await Promise.all(channels.map((channel) => sessions.unsubscribe(id, channel)))
    const reason = reasons.channelRefused
    return answer(200, ...channels.map((channel) => ({ __type: 'unsubscribed', channel, reason }) as const))
  }

  /** The original's clients say nothing of positions: their session remembers what they were given. */
  async #baseAnswer(id: string, poll: Poll, { seq }: PollMessage, session: Session): Promise<Answer> {
    if (poll.hasGap) {
      // It can't be told; a session that has expired makes it begin anew.
      await this.#host.sessions.end(id)
      return expired()
    }
    const reply = poll.answer(false)
    const positions = poll.delivered
    // Nothing is an answer too: it may replace one to the same `seq`, which got lost and held more than this node has yet.
    if (Object.keys(positions).length === 0 && session.answer === null) return reply
    const begun = Object.fromEntries(
      [...startingPlaces(session, { __type: 'poll', seq })].map(([channel, place]) => [
        channel,
        asText(place),
      ]),
    )
    const isOurs = await this.#host.sessions.commitAnswer(id, poll.id, { seq, positions }, begun)
    if (isOurs) return reply
    // Which poll it was that came between, its node will say, if it has not yet.
    return poll.isRepeated || this.#polls.get(id) === poll ? repeated() : empty()
  }

  async #read(id: string): Promise<Session | null> {
    const session = await this.#host.sessions.read(id)
    return session === null || this.#isFenced(session) ? null : session
  }

  #isFenced({ client, generation }: Session): boolean {
    return this.#host.isFenced(client, generation)
  }

  #deadline(): Deadline {
    return new Deadline(this.#host.brokerTimeoutMs)
  }
}
