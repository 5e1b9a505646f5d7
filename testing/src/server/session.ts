import { reasons, type GapReason, type Poll, type ServerMessage, type Subscribe } from '@broadcaster/protocol'
import { authExpected, missed, ok, repeated, type Answer } from './answers.ts'
import type { ChannelLog, Cursor } from './channelLog.ts'
import { ServerClient } from './serverClient.ts'
import type { TestServer } from './testServer.ts'

/** How long a poll waits for messages: `timeout` less `pollTime` of a server with default options. */
const POLL_MS = 29_500
/** Copies of this many earlier polls are recognized. */
const KNOWN_POLLS = 50

/** A poll that waits for messages. */
interface WaitingPoll {
  readonly answer: (answer: Answer) => void
  readonly timer: ReturnType<typeof setTimeout>
}

/** A long-poll session. */
export class Session extends ServerClient {
  readonly token: string
  protected readonly replaysHeld = true
  /** The client was not told of messages that it missed. All its requests but `auth` are answered with 503. */
  hasMissed = false
  /** Messages that belong to no place of a channel. They come with the next answer. */
  #notices: ServerMessage[] = []
  #waiting: WaitingPoll | null = null
  /** The newest poll, the messages of its answer, and the places that the client has with them. */
  #last: { seq: string; messages: ServerMessage[] | null; ends: Map<string, Cursor> } | null = null
  readonly #seqs: string[] = []

  constructor(server: TestServer, token: string) {
    super(server)
    this.token = token
  }

  /** @param answer called once, now or when there are messages. Returns a function for a client that has gone. */
  poll({ seq, positions }: Poll, answer: (answer: Answer) => void): () => void {
    const last = this.#last
    if (seq === last?.seq) {
      // A client of the base would take an empty answer for the answer to the repetition.
      this.#answerWaiting(this.version === 0 ? repeated() : ok())
      if (last.messages !== null) return this.#answerNow(answer, ok(...last.messages))
    } else if (this.#seqs.includes(seq)) {
      return this.#answerNow(answer, ok())
    } else {
      this.#answerWaiting(ok())
      // The client has received the answer before.
      for (const [channel, end] of last?.messages ? last.ends : []) {
        if (this.channels.has(channel)) this.channels.set(channel, end)
      }
      this.#seqs.push(seq)
      if (this.#seqs.length > KNOWN_POLLS) this.#seqs.shift()
      this.#last = { seq, messages: null, ends: new Map() }
    }
    if (this.version > 0) {
      for (const [channel, position] of Object.entries(positions ?? {})) {
        if (this.channels.has(channel))
          this.channels.set(channel, this.server.log(channel).cursorOf(position))
      }
    }
    const timer = setTimeout(() => this.#answer([], new Map()), POLL_MS)
    // It must not keep a process alive whose test has forgotten close(). In a page, a timer is a number.
    if (typeof timer === 'object') timer.unref?.()
    const poll = { answer, timer }
    this.#waiting = poll
    this.#gather()
    return () => {
      clearTimeout(timer)
      if (this.#waiting === poll) this.#waiting = null
    }
  }

  override subscribe(request: Subscribe): ServerMessage {
    const answer = super.subscribe(request)
    // The client is at the place of this answer. The answer of an earlier poll does not bring it back.
    if ('recovered' in answer || 'history' in answer) this.#last?.ends.delete(request.channel)
    return answer
  }

  unsubscribe(channel: string): void {
    this.channels.delete(channel)
    this.#last?.ends.delete(channel)
  }

  override arrived(): void {
    this.#gather()
  }

  override missed(_log: ChannelLog, reason: GapReason): void {
    if (this.version === 0 && reason !== 'overflow') this.#cannotTell()
    else this.#gather()
  }

  override taken(channel: string): void {
    if (this.version === 0) return this.#cannotTell()
    this.unsubscribe(channel)
    this.#notices.push({ __type: 'unsubscribed', channel, reason: reasons.channelRefused })
    this.#gather()
  }

  override end(): void {
    this.server.leave(this)
    this.#answerWaiting(authExpected())
  }

  #cannotTell(): void {
    this.hasMissed = true
    this.channels.clear()
    this.#answerWaiting(missed())
  }

  /** Answers the waiting poll, if there is anything for it. */
  #gather(): void {
    if (this.#waiting === null) return
    const gathered: { readonly arrival: number; readonly message: ServerMessage }[] = []
    const ends = new Map<string, Cursor>()
    for (const [channel, cursor] of this.channels) {
      const log = this.server.log(channel)
      let entries = log.after(cursor)
      if (typeof entries === 'string') {
        if (this.version > 0) gathered.push({ arrival: -1, message: gap(log, entries) })
        else if (entries !== 'overflow') return this.#cannotTell()
        ends.set(channel, log.start)
        entries = log.after(log.start)
      }
      if (typeof entries === 'string') continue
      for (const entry of entries) {
        gathered.push({ arrival: entry.arrival, message: this.message(log, entry) })
        ends.set(channel, entry.count)
      }
    }
    gathered.sort((a, b) => a.arrival - b.arrival)
    const messages = [...this.#notices, ...gathered.map(({ message }) => message)]
    if (messages.length > 0) this.#answer(messages, ends)
  }

  #answer(messages: ServerMessage[], ends: Map<string, Cursor>): void {
    this.#notices = []
    this.#last = { ...this.#last!, messages, ends }
    this.#answerWaiting(ok(...messages))
  }

  #answerWaiting(answer: Answer): void {
    const poll = this.#waiting
    this.#waiting = null
    if (poll === null) return
    clearTimeout(poll.timer)
    poll.answer(answer)
  }

  #answerNow(answer: (answer: Answer) => void, now: Answer): () => void {
    answer(now)
    return () => {}
  }
}

function gap(log: ChannelLog, reason: GapReason): ServerMessage {
  return { __type: 'gap', channel: log.name, position: log.positionOf(log.start), reason }
}
