import type { Position } from '@broadcaster/protocol'
import { randomInt } from 'node:crypto'
import { encodeControl } from '../control/control.ts'
import { BroadcasterError } from '../errors.ts'
import { makeBeacon, timeOfBeacon } from '../channels/position.ts'
import {
  sessionLife,
  type Session,
  type SessionAnswer,
  type SessionIdentity,
  type SessionStore,
  type SessionSubscribed,
  type SessionSubscribeOptions,
} from './sessions.ts'
import { throughUtf8 } from '../input/text.ts'
import { uptimeMs } from '../time/uptime.ts'
import type { Backend, BackendReceiver, Beacon } from './backend.ts'

/** The backend for `redis: false`: one process, without external services. */
export class MemoryBackend implements Backend {
  readonly isOrdered = true
  readonly trouble = null
  readonly sessions: MemorySessions
  readonly #controlChannel: string
  readonly #channels = new Set<string>()
  #receiver: BackendReceiver | null = null
  #beacon = 0
  /** A random run. When the process has restarted, returning clients must see a different run of the broker. */
  readonly #run = randomInt(1024)

  constructor(options: { controlChannel: string; timeoutMs: number }) {
    this.#controlChannel = options.controlChannel
    this.sessions = new MemorySessions(options.timeoutMs)
  }

  get isConnected(): boolean {
    return this.#receiver !== null
  }

  async start(receiver: BackendReceiver): Promise<void> {
    this.#receiver = receiver
    receiver.up()
  }

  async subscribe(channels: readonly string[]): Promise<readonly string[]> {
    for (const channel of channels) this.#channels.add(channel)
    return []
  }

  async unsubscribe(channels: readonly string[]): Promise<void> {
    for (const channel of channels) this.#channels.delete(channel)
  }

  async publish(channel: string, body: string | Buffer): Promise<number> {
    if (this.#receiver === null) throw new BroadcasterError('closed', 'The broadcaster has been closed')
    if (!this.#channels.has(channel)) return 0
    const text = typeof body === 'string' ? throughUtf8(body) : body.toString()
    // The message is not delivered synchronously, because the caller may be inside one of our own callbacks.
    queueMicrotask(() => this.#receiver?.message(channel, text))
    return 1
  }

  async countHolders(channels: readonly string[]): Promise<readonly number[]> {
    return channels.map((channel) => (this.#channels.has(channel) ? 1 : 0))
  }

  async beacon(floor: number): Promise<Beacon> {
    const nowMs = Date.now()
    const ms = Math.max(timeOfBeacon(this.#beacon) + 1, timeOfBeacon(floor) + 1, nowMs)
    this.#beacon = makeBeacon(ms, this.#run)
    await this.publish(this.#controlChannel, encodeControl({ type: 'beacon', n: this.#beacon }))
    return { n: this.#beacon, nowMs }
  }

  async report(): Promise<void> {}

  async connections(): Promise<number> {
    return 0
  }

  async leave(): Promise<void> {}

  // This process has only one node, and that node always receives messages. So nothing has to be stored.
  async keepRevocation(): Promise<void> {}

  async keptRevocations(): Promise<readonly string[]> {
    return []
  }

  async close(): Promise<void> {
    this.#receiver = null
    this.#channels.clear()
  }
}

interface StoredSession {
  identity: SessionIdentity
  channels: Map<string, Position>
  answer: SessionAnswer | null
  poller: string | null
  /** In ms since the start of the process. */
  expiresAt: number
}

/** The sessions of one process. Each step only changes a Map synchronously, so it is atomic. */
export class MemorySessions implements SessionStore {
  readonly #life: { idleMs: number; pollingMs: number }
  readonly #sessions = new Map<string, StoredSession>()

  constructor(timeoutMs: number) {
    this.#life = sessionLife(timeoutMs)
  }

  async create(id: string, identity: SessionIdentity): Promise<void> {
    this.#dropExpired()
    // A copy through JSON, as with Redis: later changes of the caller's objects must not change the session.
    const copy = JSON.parse(JSON.stringify(identity)) as SessionIdentity
    this.#sessions.set(id, {
      identity: copy,
      channels: new Map(),
      answer: null,
      poller: null,
      expiresAt: uptimeMs() + this.#life.idleMs,
    })
  }

  async read(id: string): Promise<Session | null> {
    const stored = this.#find(id)
    return stored === undefined ? null : snapshot(stored)
  }

  async beginPoll(id: string, poller: string): Promise<Session | null> {
    const stored = this.#find(id)
    if (stored === undefined) return null
    const before = snapshot(stored)
    stored.poller = poller
    stored.expiresAt = uptimeMs() + this.#life.pollingMs
    return before
  }

  async commitAnswer(
    id: string,
    poller: string,
    answer: SessionAnswer,
    delivered: Readonly<Record<string, Position>>,
  ): Promise<boolean> {
    const stored = this.#find(id)
    if (stored === undefined || stored.poller !== poller) return false
    stored.answer = answer
    for (const [channel, position] of Object.entries(delivered)) {
      if (stored.channels.has(channel)) stored.channels.set(channel, position)
    }
    return true
  }

  async subscribe(
    id: string,
    channel: string,
    position: Position,
    { replace, maxChannels, poller }: SessionSubscribeOptions,
  ): Promise<SessionSubscribed | 'gone' | 'full'> {
    const stored = this.#find(id)
    if (stored === undefined) return 'gone'
    const isNew = !stored.channels.has(channel)
    if (isNew && stored.channels.size >= maxChannels) return 'full'
    if (isNew || replace) stored.channels.set(channel, position)
    stored.poller ??= poller
    stored.expiresAt = Math.max(stored.expiresAt, uptimeMs() + this.#life.idleMs)
    return { position: stored.channels.get(channel)!, poller: stored.poller, isNew }
  }

  async unsubscribe(id: string, channel: string): Promise<{ poller: string | null } | null> {
    const stored = this.#find(id)
    if (stored === undefined) return null
    stored.channels.delete(channel)
    return { poller: stored.poller }
  }

  async end(id: string): Promise<string | null> {
    const poller = this.#find(id)?.poller ?? null
    this.#sessions.delete(id)
    return poller
  }

  async count(): Promise<number> {
    this.#dropExpired()
    return this.#sessions.size
  }

  async *all(): AsyncIterable<readonly [string, Session]> {
    this.#dropExpired()
    for (const [id, stored] of this.#sessions) yield [id, snapshot(stored)]
  }

  #find(id: string): StoredSession | undefined {
    const stored = this.#sessions.get(id)
    if (stored === undefined || stored.expiresAt > uptimeMs()) return stored
    this.#sessions.delete(id)
    return undefined
  }

  #dropExpired(): void {
    for (const id of this.#sessions.keys()) this.#find(id)
  }
}

function snapshot(stored: StoredSession): Session {
  const { identity, channels, answer, poller } = stored
  return { ...identity, channels: new Map(channels), answer, poller }
}
