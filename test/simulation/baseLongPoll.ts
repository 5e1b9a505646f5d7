import type { ServerMessage } from '@broadcaster/protocol'
import type { Actor, Network } from './clients.ts'
import { fetchThrough } from './http.ts'
import { Pace, Record } from './oracle.ts'
import type { Route } from './socket.ts'

/** The result of a request: the messages, `null` if it has to be sent again, or that the session has ended. */
type Outcome = readonly ServerMessage[] | null | 'expired'

/** One of this many polls arrives again later, as if a proxy had delayed a copy. */
const COPIED_EACH = 3

/** Longer than any session lives without a request. */
const SESSION_MS = 15_000

/**
 * A long-poll client of the base. It has no positions, and sends a failed poll again with the same `seq`. Within one session it
 * gets every message. If the logs have a limit of their total size (`canRunOver`), messages may be missing.
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
  /** Channels with a request in flight. */
  readonly #busy = new Set<string>()
  /** Unsubscribed channels of which an earlier poll may still return messages. */
  readonly #stale = new Set<string>()
  #token: string | null = null
  #seq = 0
  /** The time at which it returns after `leave`. */
  #awayUntil = 0
  /** Until this time, the server may have received no request of it. */
  #silentUntil = 0

  constructor(network: Network, route: Route, timeoutMs: number, canRunOver: boolean) {
    const { world, requests } = network
    this.#network = network
    this.name = route.name
    this.route = route
    // Without positions, the server can't tell a late poll from a new one, unless it notices that the connection has ended.
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
    const poll = { __type: 'poll', seq: String(this.#seq), __token: token }
    this.#copyLater(poll)
    const answers = await this.#request(poll, token)
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

  /**
   * Sends a poll again after the answers to later polls have arrived, or in between. Nobody reads the answer. This takes no random
   * numbers, so that the seeds of other runs stay the same.
   */
  #copyLater(poll: { readonly seq: string }): void {
    const { world, requests } = this.#network
    if (world.conditions.duplicated === 0 || this.#seq % COPIED_EACH !== 0) return
    const init = { method: 'POST', headers: {}, body: JSON.stringify(poll) }
    setTimeout(
      () => {
        world.counts.add('fault: poll copied')
        const copy = { ...init, signal: new AbortController().signal }
        fetchThrough(world, this.route, requests)('', copy).catch(() => {})
      },
      (this.#seq * 379) % 3000,
    )
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

  /** Subscribes or unsubscribes so that the session matches `#wanted`, with one request at a time for each channel. */
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
    // Without an answer, the request may have been executed or not. So it is repeated until there is one, also if the channel is
    // no longer wanted.
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
      // The request or its answer is lost or late.
      return null
    } finally {
      clearTimeout(timer)
    }
  }

  #expire(token: string): void {
    if (this.#token !== token) return
    const { world } = this.#network
    // The session may expire after a silence, for instance when the client was away. Otherwise an expiry counts as a gap.
    if (Date.now() > this.#silentUntil + SESSION_MS) world.gap(this.name, null, 'session expired')
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
