import type { ServerMessage } from '@broadcaster/protocol'
import type { Actor, Network } from './clients.ts'
import { fetchThrough } from './http.ts'
import { Pace, Record } from './oracle.ts'
import type { Route } from './socket.ts'

/** What a request came to: messages, or `null` if it has to be sent again; a session may have ended. */
type Outcome = readonly ServerMessage[] | null | 'expired'

/** Longer than any session lives. */
const SESSION_MS = 15_000

/**
 * A client of the original over long-poll: knows no positions; a poll that fails is sent again with the same `seq`.
 * Within one session it gets everything, or, where memory `canRunOver`, what is left of it.
 */
export class BaseLongPollClient implements Actor {
  readonly name: string
  readonly route: Route
  readonly #network: Network
  readonly #fetch: ReturnType<typeof fetchThrough>
  readonly #pace: Pace
  readonly #timeoutMs: number
  readonly #canRunOver: boolean
  readonly #wanted = new Set<string>()
  readonly #records = new Map<string, Record>()
  /** Channels that a request is out for. */
  readonly #busy = new Set<string>()
  /** Channels of which a poll that began before they were given up may still bring something. */
  readonly #stale = new Set<string>()
  #token: string | null = null
  #seq = 0
  /** Until when it is away. */
  #awayUntil = 0
  /** Until when the server may have heard nothing from it. */
  #silentUntil = 0

  constructor(network: Network, route: Route, timeoutMs: number, canRunOver: boolean) {
    const { world, requests } = network
    this.#network = network
    this.name = route.name
    this.route = route
    // Without positions, a poll that comes late can't be told from a new one: only that its client has gone helps.
    this.#fetch = fetchThrough(world, route, requests, 0)
    this.#pace = new Pace(world, this.name)
    this.#timeoutMs = timeoutMs
    this.#canRunOver = canRunOver
    void this.#live()
  }

  get channels(): string[] {
    return [...this.#wanted]
  }

  subscribe(channel: string): void {
    this.#wanted.add(channel)
    void this.#sync(channel)
  }

  unsubscribe(channel: string): void {
    this.#wanted.delete(channel)
    void this.#sync(channel)
  }

  leave(forMs: number): void {
    this.#awayUntil = Date.now() + forMs
    this.#silentUntil = Math.max(this.#silentUntil, this.#awayUntil)
  }

  checkCaughtUp(): void {
    for (const channel of this.#wanted) {
      const record = this.#records.get(channel)
      if (record === undefined) this.#network.world.fail(this.name, `${channel}: was never subscribed`)
      else if (!this.#canRunOver) record.checkCaughtUp()
    }
  }

  async #live(): Promise<never> {
    for (;;) {
      const answers = await this.#request({ __type: 'auth' }, null)
      const ok = Array.isArray(answers) ? answers.find(({ __type }) => __type === 'authOk') : undefined
      if (ok?.__token === undefined) {
        await this.#pause(500)
        continue
      }
      const token = ok.__token
      this.#token = token
      for (const channel of this.#wanted) void this.#sync(channel)
      while (this.#token === token) await this.#poll(token)
    }
  }

  async #poll(token: string): Promise<void> {
    await this.#pause(Math.max(0, this.#awayUntil - Date.now()))
    const startedAt = Date.now()
    const stale = [...this.#stale]
    const answers = await this.#request({ __type: 'poll', seq: String(this.#seq), __token: token }, token)
    if (this.#token !== token || answers === 'expired') return
    if (answers === null) return this.#pause(this.#network.world.random.between(0, 500))
    this.#seq += 1
    for (const message of answers) this.#receive(message)
    for (const channel of stale) {
      this.#stale.delete(channel)
      void this.#sync(channel)
    }
    if (answers.length === 0 && Date.now() - startedAt < 50) await this.#pause(250)
  }

  #receive(message: ServerMessage): void {
    if (message.__type !== 'message') {
      this.#network.world.fail(this.name, `was sent ${message.__type}`)
      return
    }
    const record = this.#records.get(message.channel)
    if (message.position !== undefined)
      this.#network.world.fail(this.name, 'a position for a client of the base')
    if (record !== undefined) {
      if (this.#canRunOver) record.gap()
      return record.message(message.body)
    }
    if (!this.#stale.has(message.channel) && !this.#busy.has(message.channel)) {
      this.#network.world.fail(this.name, `${message.channel}: a message, but not subscribed`)
    }
  }

  /** Brings the session nearer to what is wanted, with one request at a time for each channel. */
  async #sync(channel: string): Promise<void> {
    const token = this.#token
    if (token === null || this.#busy.has(channel) || this.#stale.has(channel)) return
    const isWanted = this.#wanted.has(channel)
    if (isWanted === (this.#records.get(channel)?.isConfirmed ?? false)) return
    const { world, broker } = this.#network
    if (isWanted && !this.#records.has(channel)) {
      this.#records.set(channel, new Record(world, broker, this.name, channel))
    }
    this.#busy.add(channel)
    const type = isWanted ? 'subscribe' : 'unsubscribe'
    let answers: Outcome = null
    // What has no answer may be done or not: it is asked for until it has one, whatever is wanted meanwhile.
    while (answers === null && this.#token === token) {
      answers = await this.#request({ __type: type, channel, __token: token }, token)
      if (answers === null) await this.#pause(300)
    }
    if (this.#token !== token || answers === null || answers === 'expired') return
    this.#busy.delete(channel)
    if (isWanted) {
      if (answers[0]?.__type !== 'subscribeOk')
        world.fail(this.name, `${channel}: ${JSON.stringify(answers)}`)
      this.#records.get(channel)!.confirmed()
    } else {
      this.#records.get(channel)?.end()
      this.#records.delete(channel)
      this.#stale.add(channel)
    }
    void this.#sync(channel)
  }

  async #request(message: object, token: string | null): Promise<Outcome> {
    this.#pace.count()
    const abort = new AbortController()
    const timer = setTimeout(() => {
      this.#silentUntil = Math.max(this.#silentUntil, Date.now())
      abort.abort()
    }, this.#timeoutMs)
    try {
      const init = { method: 'POST', headers: {}, body: JSON.stringify(message), signal: abort.signal }
      const { status, text } = await this.#fetch('', init).then(async (response) => ({
        status: response.status,
        text: await response.text(),
      }))
      if (status === 401 && token !== null) {
        this.#expire(token)
        return 'expired'
      }
      return status === 200 ? (JSON.parse(text) as ServerMessage[]) : null
    } catch {
      // Lost, or too late: it is sent again.
      return null
    } finally {
      clearTimeout(timer)
    }
  }

  #expire(token: string): void {
    if (this.#token !== token) return
    const { world } = this.#network
    // After silence on the way, or having been away, its time may just have run out.
    if (Date.now() > this.#silentUntil + SESSION_MS) world.gap(this.name, 'session expired')
    this.#token = null
    for (const record of this.#records.values()) record.end()
    this.#records.clear()
    this.#busy.clear()
    this.#stale.clear()
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, ms))
  }
}
