import type { Message } from '@broadcaster/client'
import { parsePosition, RUNS } from '../../server/src/channels/position.ts'
import { readNumber } from './broker.ts'
import type { World } from './world.ts'

/**
 * Where a message was published. A line is the time in which one server alone orders the messages of the channel. Between two
 * lines there is a gap.
 */
export interface Place {
  readonly line: number
  /** The message before it in its line; 0 for the first one. */
  readonly before: number
}

/** The messages that were published. Each channel numbers its messages from 1. */
export interface Published {
  /** The number of the last message. */
  head(channel: string): number
  /** The number of the last message before the first one that may still arrive at a node. */
  headEverywhere(channel: string): number
  placeOf(channel: string, n: number): Place
  /** Whether messages of the line were lost silently: a client was told of a gap when this was the head, and left the line. */
  isLostAfter(channel: string, line: number, head: number): boolean
  /**
   * Whether a node receives messages of a new line, over the bus of a Cluster, before it notices that there is one. Then the
   * client is told of the gap later.
   */
  readonly isBridged: boolean
  /** The line of the next message; `null` if it is not known, because two servers or none would publish it. */
  lineNow(channel: string): number | null
}

/**
 * Checks the guarantee for one subscription of one client: every message of the channel arrives, once, in order, or the client
 * is told that there is a gap.
 */
export class Record {
  readonly channel: string
  readonly #world: World
  readonly #broker: Published
  readonly #who: string
  /** No message up to this one may arrive. All nodes had it before the subscription began. */
  readonly #floor: number
  /** The head of the channel when the subscription was confirmed. All messages after it must arrive. */
  #confirmedAt: number | null = null
  #last: number | null = null
  /** Whether a message has come that is not from before the subscription. */
  #hasLive = false
  /** The line in which it is; `null` if it is not known. */
  #line: number | null = null
  /** The head when the client was last told of a gap, and that of the gap after each line. */
  #headAtGap = 0
  readonly #ends = new Map<number, number>()
  /** The last message of each line. */
  readonly #lastOf = new Map<number, number>()
  #isGapTold = false
  /** Whether the client has to be told of a gap later. */
  #isGapDue = false
  #isOver = false

  constructor(
    world: World,
    broker: Published,
    who: string,
    channel: string,
    floor = broker.headEverywhere(channel),
  ) {
    this.#world = world
    this.#broker = broker
    this.#who = who
    this.channel = channel
    this.#floor = floor
  }

  get isConfirmed(): boolean {
    return this.#confirmedAt !== null
  }

  /** The floor of the next subscription, if it replaces this one without a request to the server. */
  get floor(): number {
    return this.#last ?? this.#floor
  }

  confirmed(): void {
    if (this.#confirmedAt === null) {
      this.#confirmedAt = this.#broker.head(this.channel)
      this.#line ??= this.#broker.lineNow(this.channel)
    }
    this.#world.safety.listens(this.#who, this.channel)
  }

  /** The client is not subscribed at the moment. */
  interrupted(): void {
    this.#world.safety.left(this.#who)
  }

  /** The handler of a subscription. */
  readonly handle = (body: string, { isReplayed }: Message): void => this.message(body, isReplayed)

  /** @param isReplayed Whether it is from before the subscription, which has asked for such messages. */
  message(body: string, isReplayed = false): void {
    const n = readNumber(body)
    this.#world.counts.add('deliveries')
    if (this.#isOver) return this.#fail(`${n} came after the subscription had ended`)
    if (n > this.#broker.head(this.channel)) return this.#fail(`${n} was never published`)
    const { line, before } = this.#broker.placeOf(this.channel, n)
    const last = this.#lastOf.get(line)
    if (last !== undefined && n <= last) return this.#fail(`${n} came after ${last}`)
    if (isReplayed && this.#hasLive) return this.#fail(`${n} was replayed after ${this.#last}`)
    if (n <= this.#floor && !isReplayed)
      return this.#fail(`${n} is from before the subscription, which began after ${this.#floor}`)
    // A message from before the confirmation may be of the line before.
    const mayBeOlder = !this.#hasLive && n <= (this.#confirmedAt ?? 0)
    if (!this.#isGapTold && !mayBeOlder && line !== (this.#line ?? line)) {
      if (this.#broker.isBridged) this.#isGapDue = true
      else return this.#fail(`${n} is of another line than ${this.#last}, and the client was told of no gap`)
    }
    // The messages before the confirmation need not arrive.
    const reached = this.#last ?? (isReplayed ? n : (this.#confirmedAt ?? n))
    if (!this.#isGapTold && !this.#isGapDue && before > reached) {
      return this.#fail(`${n} came, but ${before} had to come first, and the client was told of no gap`)
    }
    if (this.#isGapTold && this.#line !== null && this.#line !== line)
      this.#ends.set(this.#line, this.#headAtGap)
    // A server that owns the slot all the time may have its messages again, after another one that owned it, too.
    this.#ends.delete(line)
    this.#last = n
    this.#hasLive = !isReplayed
    this.#line = line
    this.#lastOf.set(line, n)
    this.#isGapTold = false
  }

  gap(): void {
    this.#isGapTold = true
    this.#isGapDue = false
    this.#headAtGap = this.#broker.head(this.channel)
  }

  end(): void {
    this.#isOver = true
    this.interrupted()
  }

  /** Checks that no message is missing at the end. Call it when nothing is in flight. */
  checkCaughtUp(): void {
    if (this.#isOver) return
    const head = this.#broker.head(this.channel)
    if (this.#confirmedAt === null) return this.#fail('was never subscribed')
    for (const [line, headAtGap] of this.#ends)
      if (this.#broker.isLostAfter(this.channel, line, headAtGap))
        return this.#fail(`messages after ${headAtGap} were published before the change, and lost`)
    if (this.#isGapDue) return this.#fail('was never told of the gap between two lines')
    // If the logs are very small, they may not hold even the last messages.
    if (this.#last === head || this.#confirmedAt === head || this.#isGapTold) return
    this.#fail(`is at ${this.#last ?? 'nothing'}, though the channel is at ${head}`)
  }

  #fail(what: string): void {
    this.#world.fail(this.#who, `${this.channel}: ${what}`)
  }
}

/** The time for which a client must have had its channel so that a fault of one node makes no gap, with copies. */
const SAFE_MS = 2000
/** A client is told of a gap within this time after the fault. */
const TOLD_MS = 40_000

/** Knows whether a gap is allowed, if every channel has two copies and each client has only one channel. */
export class Safety {
  readonly #listeners = new Map<string, { readonly channel: string; readonly times: Time[] }>()
  readonly #faults: { readonly at: number; readonly held: ReadonlySet<string> }[] = []

  listens(who: string, channel: string): void {
    const listener = this.#listeners.get(who) ?? { channel, times: [] }
    this.#listeners.set(who, listener)
    const { times } = listener
    if (times.at(-1)?.until !== Infinity) times.push({ from: Date.now(), until: Infinity })
  }

  left(who: string): void {
    const last = this.#listeners.get(who)?.times.at(-1)
    if (last?.until === Infinity) last.until = Date.now()
  }

  /** A node that holds these channels ends, or loses its connection to the broker. */
  fault(held: ReadonlySet<string>): void {
    this.#faults.push({ at: Date.now(), held: new Set(held) })
  }

  /** Whether the client had its channel for long enough before each of the last faults of nodes that held it. */
  isSafe(who: string): boolean {
    const listener = this.#listeners.get(who)
    if (listener === undefined) return false
    const { channel, times } = listener
    const recent = this.#faults.filter(({ at, held }) => at > Date.now() - TOLD_MS && held.has(channel))
    return recent.every(({ at }) => times.some(({ from, until }) => from <= at - SAFE_MS && until >= at))
  }
}

/** A time in which a client was subscribed. */
interface Time {
  readonly from: number
  until: number
}

/**
 * Checks that all nodes number alike: on all nodes, a message has the same position, and no two messages have the same one. With
 * several brokers, a node that is left behind numbers in a run of its own, whose positions other nodes do not accept.
 */
export class Positions {
  readonly #world: World
  readonly #byMessage = new Map<string, string>()
  readonly #byPosition = new Map<string, string>()

  readonly #hasRuns: boolean

  constructor(world: World, hasRuns: boolean) {
    this.#world = world
    this.#hasRuns = hasRuns
  }

  check(who: string, channel: string, body: string, position: string): void {
    const run = this.#hasRuns ? ` in run ${parsePosition(position)!.beacon % RUNS}` : ''
    const message = `${channel} ${readNumber(body)}${run}`
    const ofChannel = `${channel} ${position}`
    const knownPosition = this.#byMessage.get(message) ?? ofChannel
    const knownMessage = this.#byPosition.get(ofChannel) ?? message
    this.#byMessage.set(message, knownPosition)
    this.#byPosition.set(ofChannel, knownMessage)
    if (knownPosition !== ofChannel)
      this.#world.fail(who, `${message} has the position ${ofChannel}, and elsewhere ${knownPosition}`)
    else if (knownMessage !== message)
      this.#world.fail(who, `${ofChannel} is ${message}, and elsewhere ${knownMessage}`)
  }
}

/** Checks that a client does not send requests in an endless loop without a pause. */
export class Pace {
  readonly #world: World
  readonly #who: string
  readonly #times: number[] = []

  constructor(world: World, who: string) {
    this.#world = world
    this.#who = who
  }

  count(): void {
    const now = Date.now()
    this.#times.push(now)
    if (this.#times.length <= MAX_REQUESTS) return
    if (now - this.#times.shift()! < PER_MS) this.#world.fail(this.#who, 'sends requests without a pause')
  }
}

/** No client needs more requests than this in `PER_MS`, even with faults. */
const MAX_REQUESTS = 60
const PER_MS = 2000
