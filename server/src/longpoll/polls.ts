import { reasons, type Poll as PollMessage } from '@broadcaster/protocol'
import { answer, empty, expired, missed, repeated, type Answer } from './answers.ts'
import type { Abort } from './clientAbort.ts'
import type { ControlMessageOf } from '../control/control.ts'
import { Deadline } from '../time/deadline.ts'
import type { LongPollHost } from './longpoll.ts'
import { Poll, type PollHost } from './poll.ts'
import type { Position } from '../channels/position.ts'
import type { SessionChannels } from './sessionChannels.ts'
import type { SessionEnds } from './sessionEnds.ts'
import { formatCursor, nodeOf, revokedChannels, startingCursors } from './sessionCursors.ts'
import { seqKey, sessionLife, type Session, type SessionLife } from '../backends/sessions.ts'
import { SharedTexts } from './sharedTexts.ts'
import type { SessionReader, Undelivered } from '../channels/undelivered.ts'
import { uptimeMs } from '../time/uptime.ts'

/** How long a poll waits on a draining node, in ms. A client whose polls still reach this node must not poll in a busy loop. */
const DRAINING_WAIT_MS = 1000
/** The maximum time for the message of another node that the session's next poll is there, in ms. */
const OVERTAKEN_MS = 2000

type Cursors = ReadonlyMap<string, Position | null>
type AboutPoll = ControlMessageOf<'endPoll' | 'pollChannel'>

/** The polls that wait on this node. */
export class Polls {
  readonly #host: LongPollHost
  readonly #undelivered: Undelivered
  readonly #channels: SessionChannels
  readonly #ends: SessionEnds
  readonly #life: SessionLife
  readonly #pollHost: PollHost
  /** The polls that the store does not know yet, by their sessions. */
  readonly #arriving = new Map<string, Set<Poll>>()
  /** The poll of each session. */
  readonly #polls = new Map<string, Poll>()
  /** The newest poll of each client that has sent a name. */
  readonly #newest = new Map<string, Poll>()
  #lastPoll = 0

  constructor(host: LongPollHost, undelivered: Undelivered, channels: SessionChannels, ends: SessionEnds) {
    this.#host = host
    this.#undelivered = undelivered
    this.#channels = channels
    this.#ends = ends
    this.#life = sessionLife(host.timeoutMs)
    this.#pollHost = {
      hub: host.hub,
      logger: host.logger,
      maxAnswerBytes: host.limits.answerBytes,
      texts: new SharedTexts(),
      answerCut: () => host.answerCut(),
      deadline: () => new Deadline(host.brokerTimeoutMs),
    }
  }

  get size(): number {
    return this.#arriving.size + this.#polls.size
  }

  async serve(id: string, message: PollMessage, abort: Abort): Promise<Answer> {
    const poll = this.#begin(id, message.seq)
    abort.onabort = () => poll.end()
    let client: string | null = null
    try {
      // With positions, a late copy confirms only what the client has received.
      const seq = message.positions === undefined ? seqKey(message.seq) : null
      const session = await this.#host.sessions.beginPoll(id, poll.id, seq)
      if (session === 'late') return empty()
      const refusal = this.#ends.answerFor(id, session)
      if (refusal !== null) {
        this.drop(id)
        return refusal
      }
      this.#replace(id, poll)
      if (poll.isReplaced) return session!.version > 0 ? empty() : overtaken(poll)
      client = session!.client
      await this.#takeOver(id, poll, session!)
      return session!.version > 0
        ? await this.#versionedAnswer(id, poll, session!, message, abort)
        : await this.#baseAnswer(id, poll, session!, message, abort)
    } finally {
      abort.onabort = null
      poll.stop()
      this.#arrived(id, poll)
      if (this.#polls.get(id) === poll) this.#polls.delete(id)
      if (client !== null && this.#newest.get(client) === poll) this.#newest.delete(client)
    }
  }

  /** Ends a poll, because another poll of the session has arrived on another node, or for another reason. */
  end(message: ControlMessageOf<'endPoll'>): void {
    const poll = this.#pollOf(message)
    if (poll !== null) this.#end(message.session, poll, message.seq)
  }

  /** The channels of the poll's session have changed. */
  change(message: ControlMessageOf<'pollChannel'>): void {
    const { channel, position } = message
    if (position === null) this.#pollOf(message)?.lost(channel)
    else this.#pollOf(message)?.gained(channel, position)
  }

  /** Ends the polls of a session that has ended. */
  drop(session: string): void {
    for (const poll of this.#pollsOf(session)) this.#end(session, poll, null)
  }

  /** The client has a connection of this generation. Ends a poll of an older one. */
  fence(client: string, generation: number): void {
    const poll = this.#newest.get(client)
    if (poll !== undefined && poll.generation < generation) poll.end()
  }

  /** Answers all polls now. */
  endAll(): void {
    for (const polls of this.#arriving.values()) for (const poll of polls) poll.end()
    for (const poll of this.#polls.values()) poll.end()
  }

  /** The poll that the message is about. A later poll of the session has begun with the change already. */
  #pollOf({ session, poll: pollId }: AboutPoll): Poll | null {
    return this.#pollsOf(session).find(({ id }) => id === pollId) ?? null
  }

  #pollsOf(session: string): Poll[] {
    const poll = this.#polls.get(session)
    return [...(this.#arriving.get(session) ?? []), ...(poll === undefined ? [] : [poll])]
  }

  /** Begins a poll. From now on it gets changes of the session's channels. Earlier changes are in the stored session. */
  #begin(id: string, seq: string): Poll {
    const reader = () => this.#undelivered.reader(id, this.#life.pollingMs)
    const poll = new Poll(this.#pollHost, this.#host.control.node, ++this.#lastPoll, seq, reader)
    this.#arriving.set(id, (this.#arriving.get(id) ?? new Set()).add(poll))
    return poll
  }

  /** The store has answered, or can not be reached. */
  #arrived(id: string, poll: Poll): void {
    const arriving = this.#arriving.get(id)
    if (arriving?.delete(poll) === true && arriving.size === 0) this.#arriving.delete(id)
  }

  /**
   * The poll is now the session's poll, and the older polls on this node end. The store gets polls in the order of their arrival,
   * but its answers may come in another order. So a newer poll may already have replaced this one.
   */
  #replace(id: string, poll: Poll): void {
    this.#arrived(id, poll)
    const current = this.#polls.get(id)
    if (current !== undefined && current.order > poll.order) this.#end(id, poll, current.seq)
    // This is also necessary if a poll of another node has replaced this one: it knows nothing of the older polls.
    for (const older of this.#pollsOf(id)) if (older.order < poll.order) this.#end(id, older, poll.seq)
    if (!poll.isReplaced) this.#polls.set(id, poll)
  }

  /** Ends a poll that is no longer the session's poll. `seq` is the `seq` of the poll that replaces it. */
  #end(id: string, poll: Poll, seq: string | null): void {
    poll.isRepeated = poll.seq === seq
    poll.isReplaced = true
    if (this.#polls.get(id) === poll) this.#polls.delete(id)
    poll.end()
  }

  /** Ends the polls that this poll replaces: those of older sessions of the client, and the session's own on another node. */
  async #takeOver(id: string, poll: Poll, { client, generation, poller }: Session): Promise<void> {
    poll.generation = generation
    if (client !== null) {
      // The fence of this session may not have arrived yet.
      this.fence(client, generation)
      this.#newest.set(client, poll)
    }
    // A poll on this node has already ended.
    if (nodeOf(poller) !== this.#host.control.node) await this.#channels.endPoll(id, poller, poll.seq)
  }

  /** Reads the channels, and waits until there is something to answer with. */
  async #wait(poll: Poll, reader: SessionReader, cursors: Cursors): Promise<void> {
    const { timeoutMs, pollTimeMs, isDraining } = this.#host
    // The session may have got a channel since it was read from the store.
    const names = { has: (name: string) => cursors.has(name) || poll.hasGained(name) }
    reader.retainOnly(names)
    await Promise.all([...cursors].map(([channel, cursor]) => poll.watch(channel, cursor)))
    // Clients of the base keep the timing of the original.
    const answeredAt = reader.isOfBase ? null : reader.answeredAt
    const longestMs = isDraining() ? DRAINING_WAIT_MS : timeoutMs - pollTimeMs
    await poll.news(longestMs, { ms: pollTimeMs, answeredAt })
  }

  // -- with the additions

  /** Every poll contains the positions of the client, so answers are not stored. */
  async #versionedAnswer(
    id: string,
    poll: Poll,
    session: Session,
    message: PollMessage,
    abort: Abort,
  ): Promise<Answer> {
    const revoked = revokedChannels(session, message)
    if (revoked.length > 0) return answer(200, ...revoked)
    const reader = this.#undelivered.reader(id, this.#life.pollingMs)
    await this.#wait(poll, reader, startingCursors(session, message))
    if (this.#ends.isFenced(session)) return expired()
    if (poll.isReplaced || abort.aborted) return empty()
    if (poll.refusals.size > 0) return this.#withdraw(id, poll)
    const reply = poll.answer(true)
    if (poll.hasDelivered) reader.answeredAt = uptimeMs()
    return reply
  }

  /** Removes channels that the broker refuses from the session, and tells the client. */
  async #withdraw(id: string, { refusals }: Poll): Promise<Answer> {
    const channels = [...refusals]
    await Promise.all(channels.map((channel) => this.#host.sessions.unsubscribe(id, channel)))
    const reason = reasons.channelRefused
    return answer(200, ...channels.map((channel) => ({ __type: 'unsubscribed', channel, reason }) as const))
  }

  // -- for the original's clients

  /** The client sends no positions, so its session stores the last answer. */
  async #baseAnswer(
    id: string,
    poll: Poll,
    session: Session,
    message: PollMessage,
    abort: Abort,
  ): Promise<Answer> {
    const cursors = startingCursors(session, message)
    const repeated = session.answer?.seq === message.seq ? session.answer : null
    if (repeated !== null) poll.repeat(repeated.positions)
    const reader = this.#undelivered.reader(id, this.#life.pollingMs)
    reader.isOfBase = true
    await this.#wait(poll, reader, cursors)
    if (poll.isReplaced || abort.aborted) return overtaken(poll)
    // The client can be told neither of a gap nor of a refused channel. (It gets the refusal when it subscribes again.)
    if (poll.hasGap || poll.refusals.size > 0) {
      return (await this.#ends.miss(id, poll)) ? missed() : this.#overtakenElsewhere(poll)
    }
    const reply = poll.answer(false)
    const begun = Object.fromEntries([...cursors].map(([channel, cursor]) => [channel, formatCursor(cursor)]))
    const { seq, delivered } = poll
    const isOurs = await this.#host.sessions.commitAnswer(id, poll.id, { seq, positions: delivered }, begun)
    return isOurs ? reply : this.#overtakenElsewhere(poll)
  }

  /** The session has another poll. Its node has told this node or will soon do so. */
  async #overtakenElsewhere(poll: Poll): Promise<Answer> {
    if (!poll.isReplaced) await poll.ended(OVERTAKEN_MS)
    return poll.isReplaced ? overtaken(poll) : repeated()
  }
}

function overtaken({ isRepeated }: Poll): Answer {
  return isRepeated ? repeated() : empty()
}
