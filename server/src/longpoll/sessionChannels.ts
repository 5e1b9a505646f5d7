import { reasons, type Subscribe } from '@broadcaster/protocol'
import { answer, channelRefused, empty, expired, overtaken, tooFast, type Answer } from './answers.ts'
import type { Channel } from '../channels/channel.ts'
import type { ControlMessage } from '../control/control.ts'
import type { Abort } from './clientAbort.ts'
import { Deadline } from '../time/deadline.ts'
import { logFailure, NodeFull } from '../errors.ts'
import { subscribedText } from '../channels/frames.ts'
import { bytesOf, newestWithin } from '../channels/log.ts'
import type { LongPollHost } from './longpoll.ts'
import { isMatch, type Match } from '../input/match.ts'
import { formatPosition, parsePosition, type Position } from '../channels/position.ts'
import { nodeOf } from './sessionCursors.ts'
import {
  sessionLife,
  type SessionFull,
  type SessionIdentity,
  type SessionLife,
} from '../backends/sessions.ts'
import { isUtf8 } from '../input/text.ts'
import type { Undelivered } from '../channels/undelivered.ts'

/** Adds channels to sessions and removes them, and informs the node where the session's poll waits. */
export class SessionChannels {
  readonly #host: LongPollHost
  readonly #undelivered: Undelivered
  readonly #life: SessionLife

  constructor(host: LongPollHost, undelivered: Undelivered) {
    this.#host = host
    this.#undelivered = undelivered
    this.#life = sessionLife(host.timeoutMs)
  }

  async subscribe(id: string, session: SessionIdentity, message: Subscribe, abort: Abort): Promise<Answer> {
    const { access, revocations } = this.#host
    const { channel } = message
    for (const isLast of [false, true]) {
      const begun = revocations.now
      const isTaken = (): boolean => revocations.hasTaken(begun, session.context, channel)
      const refusal = await access.refusal(channel, session.auth, session.context)
      const isTooLate = isTaken()
      if (refusal !== null && !isTooLate) return channelRefused(channel, refusal)
      // A client that has disconnected repeats the request, or sends another one.
      if (abort.aborted) return empty()
      if (!isTooLate) {
        const added = await this.#addChannel(id, session, message)
        if (!isTaken() || added.isKept) {
          if (added.isNew) {
            recheckRevocation(this.#host, async () => {
              if (isTaken()) await this.#take(id, channel)
            })
          }
          if (added.poller !== null) await this.#changePoll(id, added.poller, channel, added.position)
          return added.answer
        }
        await this.#take(id, channel)
      }
      // The channel was revoked meanwhile, maybe after `canSubscribe` had answered. So it is asked again, once.
      if (isLast) break
    }
    return channelRefused(channel)
  }

  /** Adds a channel to the session. The limits are checked before the broker is asked to subscribe. */
  async #addChannel(id: string, session: SessionIdentity, message: Subscribe): Promise<Added> {
    const { hub, sessions, newNames, limits } = this.#host
    const { channel } = message
    if (!hub.holds(channel) && !(await newNames.turn(id))) return notAdded(tooFast(channel))
    const room = { channels: limits.channelsPerConnection, nameBytes: limits.channelNamesBytes }
    const reply = await sessions.reserve(id, channel, room)
    if (reply !== 'reserved') return this.#notAdded(id, channel, reply)
    try {
      return await this.#join(id, session, message)
    } catch (error) {
      // A reserved channel counts for the limits. If this release fails, the reservation ends with the session.
      await sessions.release(id, channel).catch((cause: unknown) => {
        logFailure(
          this.#host.logger,
          'reservationNotReleased',
          cause,
          'The reservation of a channel could not be released',
        )
      })
      if (error instanceof NodeFull) return notAdded(channelRefused(channel, reasons.nodeFull))
      throw error
    }
  }

  async #join(id: string, session: SessionIdentity, message: Subscribe): Promise<Added> {
    const { channel, position } = message
    const { hub, control, sessions, limits, counts } = this.#host
    const isVersioned = session.version > 0
    const isResuming = isVersioned && position !== undefined
    const since = isResuming ? parsePosition(position) : null
    const asked = isVersioned ? message.history : undefined
    // A client that asks for older messages sends the position of the answer with its next poll, as one that resumes.
    const replace = isResuming || asked !== undefined
    if ((asked ?? 0) > limits.historyMessages) counts.limits.historyMessages += 1
    const reader = this.#undelivered.reader(id, this.#life.idleMs)
    const begin = (held: Channel, head: Position): void => {
      // If the session had the channel already, it may still need the messages before the head.
      if (replace || reader.cursorIn(held) === null) reader.retainFrom(held, head)
    }
    const beginning = { since, history: Math.min(asked ?? 0, limits.historyMessages) }
    const read = await hub.read(reader, channel, beginning, this.#deadline(), begin, limits.answerBytes)
    const reply = await sessions.subscribe(id, channel, formatPosition(read.head), {
      replace,
      poller: `${control.node}/0`,
    })
    if (reply === 'unreserved') {
      reader.forget(channel)
      return { ...notAdded(overtaken(channel)), isKept: false }
    }
    if (reply === 'gone') return this.#notAdded(id, channel, reply)
    const last = read.missed.at(-1)
    if (last !== undefined && read.channel.log.firstAfter(last) !== null) counts.limits.answerBytes += 1
    const added = { ...reply, isKept: !reply.isNew }
    if (!isVersioned) return { ...added, answer: answer(200, { __type: 'subscribeOk', channel }) }
    const gap = isResuming && since === null ? 'expired' : read.gap
    const history =
      asked === undefined ? null : newestWithin(read.history, limits.answerBytes - bytesOf(read.missed))
    counts.deliveries.longpoll += read.missed.length + (history?.length ?? 0)
    if (isResuming) counts.recoveries[gap ?? 'recovered'] += 1
    // If the session had the channel already, also if it got it while this request was running, its position is unchanged.
    const ok = subscribedText(JSON.stringify(channel), {
      position: reply.position,
      missed: read.missed,
      resumed: isResuming ? { gap } : null,
      history,
    })
    return { ...added, answer: { status: 200, body: `[${ok}]` } }
  }

  #notAdded(id: string, channel: string, why: 'gone' | SessionFull): Added {
    if (why !== 'gone') return notAdded(channelRefused(channel, reasons[why]))
    this.#undelivered.end(id)
    return notAdded(expired())
  }

  /** Removes a channel from the session. Returns whether the session exists. */
  async remove(id: string, channel: string): Promise<boolean> {
    // No session has such a channel. Redis would take the name for that of another channel.
    if (!isUtf8(channel)) return true
    const reply = await this.#host.sessions.unsubscribe(id, channel)
    if (reply === null) return false
    this.#undelivered.forget(id, channel)
    await this.#changePoll(id, reply.poller, channel, null)
    return true
  }

  /** Takes the channel from all sessions whose context matches. Their clients are told at the next poll. */
  async revoke(match: Match, channel: string): Promise<void> {
    for await (const [id, session] of this.#host.sessions.all()) {
      if (isMatch(match, session.context)) await this.#take(id, channel)
    }
  }

  /** Takes the channel from a session. Its client is told at the next poll. */
  async #take(id: string, channel: string): Promise<void> {
    const reply = await this.#host.sessions.unsubscribe(id, channel)
    if (reply?.wasSubscribed) await this.endPoll(id, reply.poller, null)
  }

  /** Ends the poll of a session. `seq` is the `seq` of the poll that replaces it, or `null`. */
  async endPoll(id: string, poller: string | null, seq: string | null): Promise<void> {
    if (poller !== null) await this.tellPoller(poller, { type: 'endPoll', session: id, poll: poller, seq })
  }

  async #changePoll(
    id: string,
    poller: string | null,
    channel: string,
    position: string | null,
  ): Promise<void> {
    if (poller !== null) {
      await this.tellPoller(poller, { type: 'pollChannel', session: id, poll: poller, channel, position })
    }
  }

  /** Sends a message to the node where the session's poll waits or has waited. */
  async tellPoller(poller: string | null, message: ControlMessage): Promise<void> {
    const node = nodeOf(poller)
    if (node === null) return
    const { control } = this.#host
    if (node === control.node) control.dispatch(message)
    else await control.publishToNode(node, message)
  }

  #deadline(): Deadline {
    return new Deadline(this.#host.brokerTimeoutMs)
  }
}

/**
 * Checks again for a revocation, after something was added to the store. The node of a revocation searches the store. It may have
 * done so just before the addition, and its message to this node may still be in flight. When everything that was published
 * before has been received, that message has been received too.
 */
export function recheckRevocation({ hub, logger }: LongPollHost, recheck: () => Promise<void>): void {
  void hub
    .caughtUp()
    .then(recheck)
    .catch((error: unknown) =>
      logger.error(
        { event: 'revocationNotApplied', err: error },
        'A revocation could not be applied to a session',
      ),
    )
}

/** The result of adding a channel. If it has no poll, the channel was not added. */
interface Added {
  readonly answer: Answer
  readonly poller: string | null
  readonly position: string | null
  readonly isNew: boolean
  /** Whether a revocation meanwhile does not affect this request. */
  readonly isKept: boolean
}

function notAdded(reply: Answer): Added {
  return { answer: reply, poller: null, position: null, isNew: false, isKept: true }
}
