import { reasons, type Poll as PollMessage } from '@broadcaster/protocol'
import { answer, empty, missed, repeated, type Answer } from './answers.ts'
import type { Abort } from './clientAbort.ts'
import type { ControlMessageOf } from '../control/control.ts'
import { Deadline } from '../time/deadline.ts'
import { Leases, type Lease } from './leases.ts'
import type { LongPollHost } from './longpoll.ts'
import { Poll, type PollHost } from './poll.ts'
import type { Position } from '../channels/position.ts'
import type { SessionChannels } from './sessionChannels.ts'
import type { SessionEnds } from './sessionEnds.ts'
import { formatCursor, nodeOf, revokedChannels, startingCursors } from './sessionCursors.ts'
import { seqKey, sessionLife, type Session, type SessionLife } from '../backends/sessions.ts'
import { SharedAnswers } from './sharedAnswers.ts'
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
  readonly #channels: SessionChannels
  readonly #ends: SessionEnds
  readonly #life: SessionLife
  readonly #leases: Leases
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
    this.#channels = channels
    this.#ends = ends
    this.#life = sessionLife(host.timeoutMs)
    this.#leases = new Leases(host.timeoutMs, () => host.hub.isListeningToAll)
    this.#pollHost = {
      hub: host.hub,
      logger: host.logger,
      maxAnswerBytes: host.limits.answerBytes,
      shared: new SharedAnswers(),
      counts: host.counts,
      deadline: () => new Deadline(host.brokerTimeoutMs),
      readerOf: (session) => undelivered.reader(session, this.#life.pollingMs),
    }
  }

  get size(): number {
    return this.#arriving.size + this.#polls.size
  }

  async serve(id: string, message: PollMessage, abort: Abort): Promise<Answer> {
    const { endings } = this.#host
    const lease = this.#leases.find(id, message)
    const poll = this.#begin(id, message.seq, lease)
    abort.onabort = () => poll.end()
    let client: string | null = null
    try {
      const epoch = lease === null ? this.#leases.begin(id) : null
      const session = lease?.session ?? (await this.#stored(id, poll, message))
      if (session === 'late') return empty()
      const refusal = this.#ends.answerFor(id, session)
      if (refusal !== null) {
        this.drop(id)
        return refusal
      }
      this.#replace(id, poll, session!.poller)
      if (poll.isReplaced) return session!.version > 0 ? empty() : overtaken(poll)
      client = session!.client
      endings.add(poll, session!.endsAt ?? Infinity)
      this.#note(poll, session!)
      if (lease === null) {
        await this.#takeOver(id, poll, session!)
        if (this.#polls.get(id) === poll && !this.#arriving.has(id))
          this.#leases.add(id, poll, session!, epoch)
      }
      return session!.version > 0
        ? await this.#versionedAnswer(id, poll, session!, message, abort, lease !== null)
        : await this.#baseAnswer(id, poll, session!, message, abort)
    } finally {
      abort.onabort = null
      endings.delete(poll)
      poll.stop()
      this.#arrived(id, poll)
      if (this.#polls.get(id) === poll) this.#polls.delete(id)
      if (client !== null && this.#newest.get(client) === poll) this.#newest.delete(client)
    }
  }

  #stored(id: string, poll: Poll, message: PollMessage): Promise<Session | 'late' | null> {
    // With positions, a late copy confirms only what the client has received.
    const seq = message.positions === undefined ? seqKey(message.seq) : null
    return this.#host.sessions.beginPoll(id, poll.id, seq)
  }

  /** Ends a poll, because another poll of the session has arrived on another node, or for another reason. */
  end(message: ControlMessageOf<'endPoll'>): void {
    this.#leases.end(message.session)
    const poll = this.#pollOf(message)
    if (poll !== null) this.#end(message.session, poll, message.seq)
  }

  /** The channels of the poll's session have changed. */
  change(message: ControlMessageOf<'pollChannel'>): void {
    const { session, channel, position } = message
    this.#leases.end(session)
    const poll = this.#pollOf(message)
    if (poll === null) return
    poll.hasChanged = true
    if (position === null) poll.lost(channel)
    else poll.gained(channel, position)
  }

  /** Ends the polls of a session that has ended. */
  drop(session: string): void {
    this.#leases.end(session)
    for (const poll of this.#pollsOf(session)) this.#end(session, poll, null)
  }

  /** The client has a connection of this generation. Ends a poll of an older one. */
  fence(client: string, generation: number): void {
    const poll = this.#newest.get(client)
    if (poll !== undefined && poll.generation < generation) poll.end()
  }

  /** Control messages may have been missed, so the store has to be asked about every session. */
  missed(): void {
    this.#leases.endAll()
  }

  /** Must be called periodically. */
  sweep(): void {
    this.#leases.sweep()
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
  #begin(id: string, seq: string, lease: Lease | null): Poll {
    const order = ++this.#lastPoll
    const poll = new Poll(
      this.#pollHost,
      id,
      lease?.poll ?? `${this.#host.control.node}/${order}`,
      order,
      seq,
    )
    if (lease === null) this.#arriving.set(id, (this.#arriving.get(id) ?? new Set()).add(poll))
    return poll
  }

  /** The store has answered, or can not be reached. */
  #arrived(id: string, poll: Poll): void {
    const arriving = this.#arriving.get(id)
    if (arriving?.delete(poll) === true && arriving.size === 0) this.#arriving.delete(id)
  }

  /**
   * The poll is now the session's poll, and the older polls on this node end. The store gets polls in the order of their arrival,
   * but its answers may come in another order. So a newer poll may already have replaced this one. `previous` is the poll that it
   * replaces in the store.
   */
  #replace(id: string, poll: Poll, previous: string | null): void {
    this.#arrived(id, poll)
    const current = this.#polls.get(id)
    if (current !== undefined && current.order > poll.order) {
      this.#end(id, poll, current.seq)
      // A server that does not know the script yet gets it with a second command. So the store has them in the other order, and
      // other nodes know the newer one by the name of this one.
      if (previous === current.id) current.id = poll.id
    }
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

  #note(poll: Poll, { client, generation }: Session): void {
    poll.generation = generation
    if (client === null) return
    // The fence of this session may not have arrived yet.
    this.fence(client, generation)
    this.#newest.set(client, poll)
  }

  /** Ends the polls that this poll replaces: those of older sessions of the client, and the session's own on another node. */
  async #takeOver(id: string, poll: Poll, { poller }: Session): Promise<void> {
    // A poll on this node has already ended.
    if (nodeOf(poller) !== this.#host.control.node) await this.#channels.endPoll(id, poller, poll.seq)
  }

  /** Reads the channels, and waits until there is something to answer with. */
  #wait(poll: Poll, reader: SessionReader, cursors: Cursors): Promise<void> {
    // The session may have got a channel since it was read from the store.
    reader.retainOnly((name) => cursors.has(name) || poll.hasGained(name))
    const lookups: Promise<void>[] = []
    for (const [channel, cursor] of cursors) {
      const lookup = poll.watch(channel, cursor)
      if (lookup !== null) lookups.push(lookup)
    }
    if (lookups.length === 0) return this.#news(poll, reader)
    return Promise.all(lookups).then(() => this.#news(poll, reader))
  }

  #news(poll: Poll, reader: SessionReader): Promise<void> {
    const { timeoutMs, pollTimeMs, isDraining } = this.#host
    // Clients of the base keep the timing of the original.
    const answeredAt = reader.isOfBase ? null : reader.answeredAt
    const longestMs = isDraining() ? DRAINING_WAIT_MS : timeoutMs - pollTimeMs
    return poll.news(longestMs, { ms: pollTimeMs, answeredAt })
  }

  // -- with the additions

  /** Every poll contains the positions of the client, so answers are not stored. */
  async #versionedAnswer(
    id: string,
    poll: Poll,
    session: Session,
    message: PollMessage,
    abort: Abort,
    isLeased: boolean,
  ): Promise<Answer> {
    // Under a lease, the client and the session have the same channels.
    const revoked = isLeased ? [] : revokedChannels(session, message)
    if (revoked.length > 0) return answer(200, ...revoked)
    const reader = this.#pollHost.readerOf(id)
    await this.#wait(poll, reader, startingCursors(session, message))
    const refusal = this.#ends.answerFor(id, session)
    if (refusal !== null) return refusal
    if (poll.isReplaced || abort.aborted) return empty()
    if (poll.refusals.length > 0) return this.#withdraw(id, poll)
    const reply = poll.answer(true)
    if (poll.hasDelivered) reader.answeredAt = uptimeMs()
    return reply
  }

  /** Removes channels that the broker refuses from the session, and tells the client. */
  async #withdraw(id: string, { refusals }: Poll): Promise<Answer> {
    this.#leases.end(id)
    await Promise.all(refusals.map((channel) => this.#host.sessions.unsubscribe(id, channel)))
    const reason = reasons.channelRefused
    return answer(200, ...refusals.map((channel) => ({ __type: 'unsubscribed', channel, reason }) as const))
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
    const reader = this.#pollHost.readerOf(id)
    reader.isOfBase = true
    await this.#wait(poll, reader, cursors)
    if (poll.isReplaced || abort.aborted) return overtaken(poll)
    const refusal = this.#ends.answerFor(id, session)
    if (refusal !== null) return refusal
    // The client can be told neither of a gap nor of a refused channel. (It gets the refusal when it subscribes again.)
    const { gap } = poll
    if (gap !== null || poll.refusals.length > 0) {
      if (gap !== null) this.#host.counts.gaps[gap] += 1
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
