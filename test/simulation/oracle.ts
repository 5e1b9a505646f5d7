import { readNumber, type Broker } from './broker.ts'
import type { World } from './world.ts'

/**
 * Checks the guarantee for one subscription of one client: every message of the channel arrives, once, in order, or the client
 * is told that there is a gap.
 */
export class Record {
  readonly channel: string
  readonly #world: World
  readonly #broker: Broker
  readonly #who: string
  /** No message up to this one may arrive. All nodes had it before the subscription began. */
  readonly #floor: number
  /** The head of the channel when the subscription was confirmed. All messages after it must arrive. */
  #confirmedAt: number | null = null
  #last: number | null = null
  #isGapTold = false
  #isOver = false

  constructor(
    world: World,
    broker: Broker,
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
    this.#confirmedAt ??= this.#broker.head(this.channel)
  }

  message(body: string): void {
    const n = readNumber(body)
    this.#world.counts.add('deliveries')
    if (this.#isOver) return this.#fail(`${n} came after the subscription had ended`)
    if (n > this.#broker.head(this.channel)) return this.#fail(`${n} was never published`)
    if (this.#last !== null && n <= this.#last) return this.#fail(`${n} came after ${this.#last}`)
    if (n <= this.#floor)
      return this.#fail(`${n} is from before the subscription, which began after ${this.#floor}`)
    const expected =
      this.#last !== null ? this.#last + 1 : this.#confirmedAt !== null ? this.#confirmedAt + 1 : n
    if (n > expected && !this.#isGapTold) {
      return this.#fail(`${n} came, but ${expected} had to come first, and the client was told of no gap`)
    }
    this.#last = n
    this.#isGapTold = false
  }

  gap(): void {
    this.#isGapTold = true
  }

  end(): void {
    this.#isOver = true
  }

  /** Checks that no message is missing at the end. Call it when nothing is in flight. */
  checkCaughtUp(): void {
    if (this.#isOver) return
    const head = this.#broker.head(this.channel)
    if (this.#confirmedAt === null) return this.#fail('was never subscribed')
    // If the logs are very small, they may not hold even the last messages.
    if (this.#last === head || this.#confirmedAt === head || this.#isGapTold) return
    this.#fail(`is at ${this.#last ?? 'nothing'}, though the channel is at ${head}`)
  }

  #fail(what: string): void {
    this.#world.fail(this.#who, `${this.channel}: ${what}`)
  }
}

/** Checks that all nodes number alike: on all nodes, a message has the same position, and no two messages have the same one. */
export class Positions {
  readonly #world: World
  readonly #byMessage = new Map<string, string>()
  readonly #byPosition = new Map<string, string>()

  constructor(world: World) {
    this.#world = world
  }

  check(who: string, channel: string, body: string, position: string): void {
    const message = `${channel} ${readNumber(body)}`
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
