import { parseClientMessage, type ClientMessage } from '@broadcaster/protocol'
import type { Line } from './line.ts'

/** A client waits for no more than a few promises between two things that it does. */
const QUIET_TURNS = 50
/** The client may never be quiet, for instance if a handler publishes. */
const MOST_TURNS = 20_000

/** Runs code that makes a client call its handlers. */
export type Deliver = (task: () => void) => void

/**
 * The network between clients and the server. It uses promises, which no fake timers replace. Only a delay uses timers: those
 * of the test.
 */
export class Network {
  readonly deliver: Deliver
  /** Every message that a client has sent. */
  readonly sent: ClientMessage[] = []
  #isUp = true
  #delayMs = 0
  /** Changes with everything that happens. */
  #activity = 0
  /** The lines on which something is on its way. */
  readonly #busy = new Set<Line>()
  readonly #breakers = new Set<() => void>()

  constructor(deliver: Deliver) {
    this.deliver = (task) => {
      this.#activity++
      deliver(task)
    }
  }

  get isUp(): boolean {
    return this.#isUp
  }

  /** Without a delay, what is on its way arrives now. */
  delay(ms: number): void {
    this.#delayMs = ms
    if (ms === 0) for (const line of this.#busy) this.later(line, () => line.arrive())
  }

  /** Breaks all connections. */
  drop(): void {
    this.#isUp = false
    for (const breakNow of this.#breakers) breakNow()
  }

  restore(): void {
    this.#isUp = true
  }

  /** Calls back when the network is dropped. Returns a function that ends this. */
  onDrop(breakNow: () => void): () => void {
    this.#breakers.add(breakNow)
    return () => this.#breakers.delete(breakNow)
  }

  /** A client has sent this text. The server gets it after the client's current code. */
  receive(text: string, receive: () => void): void {
    this.#activity++
    const parsed = parseClientMessage(text)
    if (parsed.kind === 'message') this.sent.push(parsed.message)
    void Promise.resolve().then(receive)
  }

  /** Calls back when what was sent on the line arrives. */
  later(line: Line, arrive: () => void): void {
    this.#activity++
    this.#busy.add(line)
    if (this.#delayMs > 0) setTimeout(arrive, this.#delayMs)
    else void Promise.resolve().then(arrive)
  }

  arrived(line: Line): void {
    this.#busy.delete(line)
  }

  reorder(): void {
    for (const line of this.#busy) line.reorder()
  }

  /** Resolves when clients and server have nothing to do, apart from what is delayed and from timers. */
  async quiet(): Promise<void> {
    let seen = this.#activity
    for (let turn = 0, quiet = 0; turn < MOST_TURNS && quiet < QUIET_TURNS; turn++, quiet++) {
      await Promise.resolve()
      if (seen !== this.#activity) quiet = 0
      seen = this.#activity
    }
  }
}
