import { once } from 'node:events'
import net from 'node:net'
import { sleep } from '../support/waiting.ts'
import { makeAttack, type Attack, type AttackKind, type Step } from './attacks.ts'
import { tokenPlaces } from './words.ts'

export type AttackCounts = {
  readonly attacks: Record<string, number>
  readonly endings: Record<string, number>
  /** By HTTP status. */
  readonly answers: Record<string, number>
  readonly connections: number
  readonly bytesSent: number
}

export type AttackersOptions = {
  readonly seed: number
  readonly ports: readonly number[]
  /** The number of connections at the same time. */
  readonly concurrency: number
  readonly only?: readonly AttackKind[]
  /** The number of the first attack. */
  readonly from?: number
  /** Whether the server is overloaded. Then no new attack starts. */
  readonly isBusy: () => boolean
}

const ANSWER_MS = 250
const BUSY_MS = 50
/** How long an attacker that has sent everything still reads. */
const LINGER_MS = 100
const MOST_VANISHED = 60
const REMEMBERED = 60

/** Many connections at the same time, each with its own attack. */
export class Attackers {
  readonly #options: AttackersOptions
  readonly #tokens: string[] = []
  readonly #vanished: { socket: net.Socket; isOurs: boolean }[] = []
  readonly #recent: string[] = []
  /** The number of the newest attack from each client port. */
  readonly #byPort = new Map<number, number>()
  readonly #attacks: Record<string, number> = {}
  readonly #endings: Record<string, number> = {}
  readonly #answers: Record<string, number> = {}
  #next: number
  #connections = 0
  #bytesSent = 0

  constructor(options: AttackersOptions) {
    this.#options = options
    this.#next = options.from ?? 0
  }

  get counts(): AttackCounts {
    return {
      attacks: this.#attacks,
      endings: this.#endings,
      answers: this.#answers,
      connections: this.#connections,
      bytesSent: this.#bytesSent,
    }
  }

  /** The last attacks, each with its number. */
  get recent(): readonly string[] {
    return this.#recent
  }

  /** The last attack from this port, or `null`. */
  from(port: number): string | null {
    const number = this.#byPort.get(port)
    const { seed, only } = this.#options
    return number === undefined ? null : `${number}: ${inWords(makeAttack(seed, number, only))}`
  }

  /** Attacks until `isOver` returns true. */
  async run(isOver: () => boolean): Promise<void> {
    const one = async () => {
      while (!isOver()) {
        // An overloaded server refuses requests for many reasons, so its answers would not test the attack.
        if (this.#options.isBusy()) await sleep(BUSY_MS)
        else await this.#attack(this.#next++)
      }
    }
    await Promise.all(Array.from({ length: this.#options.concurrency }, one))
  }

  /** Closes all connections except the vanished ones, which the server has to notice by itself. */
  leave(): void {
    for (const { socket, isOurs } of this.#vanished.splice(0)) if (!isOurs) socket.resetAndDestroy()
  }

  async #attack(number: number): Promise<void> {
    const { seed, ports, only } = this.#options
    const attack = makeAttack(seed, number, only)
    const port = ports[number % ports.length]!
    this.#recent.push(`${number} to port ${port}: ${inWords(attack)}`)
    if (this.#recent.length > REMEMBERED) this.#recent.shift()
    count(this.#attacks, attack.kind)
    const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    this.#connections += 1
    // Attacks may end with any error.
    socket.on('error', () => {})
    socket.on('data', (data) => this.#hear(data.toString('latin1')))
    await new Promise((resolve) => socket.once('connect', resolve).once('close', resolve))
    if (socket.localPort !== undefined) this.#byPort.set(socket.localPort, number)
    for (const step of attack.steps) {
      if (socket.destroyed) break
      await this.#do(step, socket, attack)
    }
  }

  async #do(step: Step, socket: net.Socket, { isOurs }: Attack): Promise<void> {
    switch (step.do) {
      case 'send':
        if (socket.writable) socket.write(this.#withTokens(step.bytes))
        this.#bytesSent += step.bytes.length
        return
      case 'await an answer':
        return answerOf(socket, ANSWER_MS)
      case 'wait':
        return sleep(step.ms)
      case 'stop reading':
        socket.pause()
        return
      case 'read on':
        socket.resume()
        return
      case 'reset':
        count(this.#endings, step.do)
        socket.resetAndDestroy()
        return
      case 'destroy':
        count(this.#endings, step.do)
        socket.destroy()
        return
      case 'half-close':
        count(this.#endings, step.do)
        socket.end()
        await Promise.race([once(socket, 'close').catch(() => {}), sleep(LINGER_MS)])
        socket.destroy()
        return
      case 'vanish':
        count(this.#endings, step.do)
        socket.pause()
        this.#vanished.push({ socket, isOurs })
        if (this.#vanished.length > MOST_VANISHED) this.#vanished.shift()!.socket.resetAndDestroy()
    }
  }

  #hear(text: string): void {
    for (const [, status] of text.matchAll(/HTTP\/1\.1 (\d{3}) /g)) count(this.#answers, status!)
    for (const [, token] of text.matchAll(/"__token":"([0-9a-f-]{36})"/g)) {
      this.#tokens.unshift(token!)
      this.#tokens.length = Math.min(this.#tokens.length, tokenPlaces.length)
    }
  }

  #withTokens(bytes: Buffer): Buffer {
    if (this.#tokens.length === 0) return bytes
    const text = bytes.toString('latin1')
    if (!text.includes('ffffffff-ffff')) return bytes
    const known = tokenPlaces.slice(0, this.#tokens.length)
    return Buffer.from(
      known.reduce((filled, place, i) => filled.replaceAll(place, this.#tokens[i]!), text),
      'latin1',
    )
  }
}

function answerOf(socket: net.Socket, ms: number): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer)
      socket.off('data', done).off('close', done).off('end', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    socket.on('data', done).on('close', done).on('end', done)
  })
}

function inWords({ kind, steps }: Attack): string {
  const words = steps.map((step) => {
    if (step.do === 'wait') return `wait ${step.ms}`
    if (step.do !== 'send') return step.do
    const shown = JSON.stringify(step.bytes.subarray(0, 160).toString('latin1'))
    return `send ${step.bytes.length} bytes ${shown}`
  })
  return `${kind}: ${words.join('; ')}`
}

function count(counts: Record<string, number>, name: string): void {
  counts[name] = (counts[name] ?? 0) + 1
}
