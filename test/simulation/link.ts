import type { Link } from '../../server/src/websocket/link.ts'
import { isLate } from './credentials.ts'
import type { World } from './world.ts'

/** An item that the server writes: frames, or the close. */
export type Written = { readonly frames: Buffer } | { readonly code: number; readonly reason: string }

/**
 * The server's end of a WebSocket. What the server writes goes to the network at once. While the client does not read, it is
 * buffered in the process.
 */
export class SimulatedLink implements Link {
  readonly isCompressing = false
  readonly address = null
  /** When the credentials of the client end. */
  endsAt = Infinity
  readonly #world: World
  readonly #transmit: (item: Written) => void
  #unsent: (Written | { readonly drained: () => void })[] = []
  #unsentBytes = 0
  #sentBytes = 0
  #isStalled = false
  #isAwaitingDrain = false
  #isClosing = false
  #isOver = false

  constructor(world: World, transmit: (item: Written) => void) {
    this.#world = world
    this.#transmit = transmit
  }

  get bufferedBytes(): number {
    return this.#unsentBytes
  }

  get sentBytes(): number {
    return this.#sentBytes
  }

  write(written: Buffer | string): void {
    if (this.#isClosing) return
    const frames = typeof written === 'string' ? Buffer.from(written, 'latin1') : written
    if (isLate(this.endsAt)) this.#world.fail('a node', 'writes to a client whose credentials have ended')
    this.#put({ frames })
  }

  onDrained(callback: () => void): void {
    if (this.#isAwaitingDrain) return
    this.#isAwaitingDrain = true
    const drained = (): void => {
      this.#isAwaitingDrain = false
      callback()
    }
    if (this.#unsent.length > 0) this.#unsent.push({ drained })
    else setImmediate(drained)
  }

  // These do nothing: requests that the client has sent arrive nevertheless.
  pause(): void {}
  resume(): void {}

  close(code: number, reason: string): void {
    if (this.#isClosing) return
    this.#isClosing = true
    this.#put({ code, reason })
  }

  /** The server calls this only for clients that do not authenticate, and all simulated clients do. */
  terminate(): void {}
  // Only the transport calls these, and the simulation has its own.
  ping(): void {}
  endIfClosing(): void {}

  // -- the network

  /** Nothing leaves the process for this time. */
  stall(ms: number): void {
    if (this.#isStalled) return
    this.#isStalled = true
    setTimeout(() => {
      this.#isStalled = false
      this.#release()
    }, ms)
  }

  /** The socket is destroyed. */
  end(): void {
    this.#isOver = true
    this.#isClosing = true
    const unsent = this.#unsent
    this.#unsent = []
    this.#unsentBytes = 0
    // Node calls the callback of every write, also if the write failed.
    for (const item of unsent) if ('drained' in item) item.drained()
  }

  #put(item: Written): void {
    if (this.#isOver) return
    if (!this.#isStalled && this.#unsent.length === 0) return this.#send(item)
    this.#unsent.push(item)
    if ('frames' in item) this.#unsentBytes += item.frames.length
  }

  /** Sends the buffered items one after the other, with short delays. */
  #release(): void {
    const item = this.#isStalled ? undefined : this.#unsent.shift()
    if (item === undefined) return
    if (this.#unsent.length > 0) setTimeout(() => this.#release(), this.#world.random.between(0, 3))
    if ('drained' in item) return item.drained()
    if ('frames' in item) this.#unsentBytes -= item.frames.length
    this.#send(item)
  }

  #send(item: Written): void {
    if ('frames' in item) this.#sentBytes += item.frames.length
    this.#transmit(item)
  }
}
