import { readNumber, type Broker } from './broker.ts'
import type { World } from './world.ts'

/**
 * One client's subscription of one channel, held against the promise: every message of the channel, once, in order, or
 * a word that there is a gap.
 */
export class Record {
  readonly channel: string
  readonly #world: World
  readonly #broker: Broker
  readonly #who: string
  /** No message up to this one may come: it was everywhere before the subscription began. */
  readonly #floor: number
  /** Where the channel was when the client heard that it has it: everything after that must come. */
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

  /** The next subscription may go on from here, where it takes the place of this one without a request. */
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
      return this.#fail(`${n} came, but ${expected} had to come first, and no gap was told`)
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

  /** All is quiet: nothing may be missing at the end either. */
  checkCaughtUp(): void {
    if (this.#isOver) return
    const head = this.#broker.head(this.channel)
    if (this.#confirmedAt === null) return this.#fail('was never subscribed')
    // With the tiniest of logs even the last messages may be too much at once.
    if (this.#last === head || this.#confirmedAt === head || this.#isGapTold) return
    this.#fail(`is at ${this.#last ?? 'nothing'}, though the channel is at ${head}`)
  }

  #fail(what: string): void {
    this.#world.fail(this.#who, `${this.channel}: ${what}`)
  }
}

/** All nodes number alike: the same message has the same position everywhere, and another message another one. */
export class Positions {
  readonly #world: World
  readonly #byMessage = new Map<string, string>()
  readonly #byPosition = new Map<string, string>()

  constructor(world: World) {
    this.#world = world
  }

  check(who: string, channel: string, body: string, position: string): void {
    const message = `${channel} ${readNumber(body)}`
    const place = `${channel} ${position}`
    const knownPosition = this.#byMessage.get(message) ?? place
    const knownMessage = this.#byPosition.get(place) ?? message
    this.#byMessage.set(message, knownPosition)
    this.#byPosition.set(place, knownMessage)
    if (knownPosition !== place)
      this.#world.fail(who, `${message} is at ${place}, and elsewhere at ${knownPosition}`)
    else if (knownMessage !== message)
      this.#world.fail(who, `${place} is ${message}, and elsewhere ${knownMessage}`)
  }
}

/** A client that asks without end, and gets nowhere, is a fault too. */
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
    if (now - this.#times.shift()! < PER_MS)
      this.#world.fail(this.#who, 'asks again and again without a pause')
  }
}

/** More than any client has reason to send, even while everything goes wrong. */
const MAX_REQUESTS = 60
const PER_MS = 2000
