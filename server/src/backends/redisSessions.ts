import type { Position } from '@broadcaster/protocol'
import { ReadSessions } from './readSessions.ts'
import { redisScripts, type RedisScripts } from './redisScripts.ts'
import type { Commands } from './redisConnection.ts'
import { isCrossSlot } from './redisReplies.ts'
import { CHANNEL_FIELD, RESERVED, scripts, UNREPEATABLE } from './sessionScripts.ts'
import {
  sessionLife,
  toSession,
  type Session,
  type Known,
  type SessionAnswer,
  type SessionIdentity,
  type SessionLife,
  type SessionLimits,
  type SessionOwner,
  type SessionReserved,
  type SessionStore,
  type SessionSubscribed,
  type SessionSubscribeOptions,
  type SessionUnsubscribed,
} from './sessions.ts'

/** The number of sessions that `all` reads at a time. */
const PAGE = 200

/** Sessions in Redis, where every node finds them (see `sessionScripts.ts` for how they are stored). */
export class RedisSessions implements SessionStore {
  readonly #redis: Commands
  readonly #run: RedisScripts<keyof typeof scripts>
  readonly #namespace: string
  readonly #life: SessionLife
  /** Whether the keys of a session and of the set of sessions are in different slots of a Cluster. */
  #isCluster: boolean
  readonly #read: ReadSessions

  constructor(redis: Commands, namespace: string, timeoutMs: number, isCluster: boolean) {
    this.#redis = redis
    this.#isCluster = isCluster
    this.#namespace = namespace
    this.#life = sessionLife(timeoutMs)
    this.#read = new ReadSessions(this.#life.pollingMs)
    this.#run = redisScripts(redis, scripts, UNREPEATABLE)
  }

  async create(id: string, identity: SessionIdentity, maxSessions: number): Promise<boolean> {
    const { idleMs } = this.#life
    const { client, generation, endsAt } = identity
    const limit = amount(maxSessions)
    const fields = [JSON.stringify(identity), JSON.stringify({ client, generation, endsAt })]
    // In a Cluster the set is updated first: a session that is not in the set cannot be found by a revocation.
    if (this.#isCluster && (await this.#run.noteNew([this.#setKey], limit, idleMs, id)) === 0) return false
    const keys = this.#keys(id)
    try {
      return (await this.#run.create(keys, ...fields, limit, idleMs, id)) === 1
    } catch (error) {
      if (!this.#learnSlots(keys, error)) throw error
      return this.create(id, identity, maxSessions)
    }
  }

  touch(id: string): Promise<Known<SessionOwner> | null> {
    return this.#touch<SessionOwner>(id, 'owner')
  }

  identify(id: string): Promise<Known<SessionIdentity> | null> {
    return this.#touch<SessionIdentity>(id, 'identity')
  }

  async beginPoll(id: string, poller: string, seq: string | null): Promise<Session | 'late' | null> {
    const { pollingMs, enoughMs } = this.#life
    const known = this.#read.get(id)
    const args = [poller, seq ?? '', known?.poller ?? '', enoughMs, pollingMs, id]
    const reply = await this.#runWithSet('beginPoll', id, ...args)
    if (reply === null) {
      this.#read.delete(id)
      return null
    }
    const [fields, isLate, isProlonged] = reply as [string[] | null, number, number]
    if (isProlonged === 1) await this.#noteProlonged(id, pollingMs)
    if (isLate === 1) return 'late'
    // Redis sends no fields if the session is unchanged since this node has read it.
    const session = fields === null ? { ...known!.session, poller: known!.poller } : parseSession(fields)
    if (session !== null) this.#read.set(id, { poller, session })
    return session
  }

  async commitAnswer(
    id: string,
    poller: string,
    answer: SessionAnswer,
    delivered: Readonly<Record<string, Position>>,
  ): Promise<boolean> {
    const fields = Object.entries(delivered).flatMap(([channel, position]) => [
      CHANNEL_FIELD + channel,
      position,
    ])
    const args = [poller, JSON.stringify(answer), answer.isLast === true ? 1 : 0, ...fields]
    return (await this.#run.commitAnswer([this.#key(id)], ...args)) === 1
  }

  async reserve(id: string, channel: string, limits: SessionLimits): Promise<SessionReserved> {
    const args = [CHANNEL_FIELD + channel, amount(limits.channels), amount(limits.nameBytes)]
    return (await this.#run.reserve([this.#key(id)], ...args)) as SessionReserved
  }

  async release(id: string, channel: string): Promise<void> {
    await this.#run.release([this.#key(id)], CHANNEL_FIELD + channel)
  }

  async subscribe(
    id: string,
    channel: string,
    position: Position,
    { replace, poller }: SessionSubscribeOptions,
  ): Promise<SessionSubscribed | 'gone' | 'unreserved'> {
    const { idleMs } = this.#life
    const args = [CHANNEL_FIELD + channel, position, replace ? 1 : 0, poller, idleMs, id]
    const reply = await this.#runWithSet('subscribe', id, ...args)
    if (!Array.isArray(reply)) return reply as 'gone' | 'unreserved'
    const [holds, last, isNew, isProlonged] = reply as [Position, string, number, number]
    if (isProlonged === 1) await this.#noteProlonged(id, idleMs)
    return { position: holds, poller: last, isNew: isNew === 1 }
  }

  async unsubscribe(id: string, channel: string): Promise<SessionUnsubscribed | null> {
    const reply = await this.#run.unsubscribe([this.#key(id)], CHANNEL_FIELD + channel)
    if (reply === null) return null
    const [wasSubscribed, poller] = reply as [number, string | undefined]
    return { poller: poller ?? null, wasSubscribed: wasSubscribed === 1 }
  }

  async end(id: string): Promise<string | null> {
    this.#read.delete(id)
    const [poller] = await Promise.all([
      this.#runWithSet('end', id, id),
      this.#isCluster ? this.#redis.zrem(this.#setKey, id) : null,
    ])
    return poller as string | null
  }

  async count(): Promise<number> {
    return (await this.#run.count([this.#setKey])) as number
  }

  async *all(): AsyncIterable<readonly [string, SessionIdentity]> {
    // This includes ids whose time in the set has passed. Whether the session still exists is decided by its hash.
    const ids = await this.#redis.zrangebyscore(this.#setKey, '-inf', '+inf')
    for (let i = 0; i < ids.length; i += PAGE) {
      const page = ids.slice(i, i + PAGE)
      const identities = await Promise.all(page.map((id) => this.#redis.hget(this.#key(id), 'identity')))
      for (const [j, identity] of identities.entries()) {
        if (identity !== null) yield [page[j]!, JSON.parse(identity) as SessionIdentity]
      }
    }
  }

  async #touch<T extends SessionOwner>(id: string, field: 'owner' | 'identity'): Promise<Known<T> | null> {
    const { idleMs } = this.#life
    const reply = await this.#runWithSet('touch', id, field, idleMs, id)
    if (reply === null) return null
    const [json, hasMissed, isProlonged] = reply as [string, number, number]
    if (isProlonged === 1) await this.#noteProlonged(id, idleMs)
    return { ...(JSON.parse(json) as T), hasMissed: hasMissed === 1 }
  }

  /** An error is ignored: the next update of the set comes before the old entry is removed. */
  async #noteProlonged(id: string, lifeMs: number): Promise<void> {
    if (this.#isCluster) await this.#run.note([this.#setKey], lifeMs, id).catch(() => {})
  }

  /** Runs a script with {@link #keys}. */
  async #runWithSet(
    script: 'beginPoll' | 'end' | 'subscribe' | 'touch',
    id: string,
    ...args: (string | number)[]
  ): Promise<unknown> {
    const keys = this.#keys(id)
    try {
      return await this.#run[script](keys, ...args)
    } catch (error) {
      if (!this.#learnSlots(keys, error)) throw error
      return this.#run[script](this.#keys(id), ...args)
    }
  }

  /**
   * A Cluster of one server, for instance of a hosted service, may be used through one address like a single Redis. It
   * refuses scripts whose keys are in different slots. Returns whether the script is to be run again, with one key.
   */
  #learnSlots(keys: readonly string[], error: unknown): boolean {
    if (keys.length === 1 || !isCrossSlot(error)) return false
    return (this.#isCluster = true)
  }

  /** The keys that a script for one session may access. */
  #keys(id: string): readonly string[] {
    return this.#isCluster ? [this.#key(id)] : [this.#key(id), this.#setKey]
  }

  #key(id: string): string {
    return `${this.#namespace}session:${id}`
  }

  get #setKey(): string {
    return `${this.#namespace}sessions`
  }
}

/** Converts a limit for Lua, which cannot read `Infinity`. */
function amount(limit: number): number {
  return Number.isFinite(limit) ? limit : Number.MAX_SAFE_INTEGER
}

/** Makes a session from the flat list of the fields and values of its hash. */
function parseSession(flat: readonly string[]): Session | null {
  const channels = new Map<string, Position>()
  let identity: SessionIdentity | null = null
  let answer: SessionAnswer | null = null
  let poller: string | null = null
  for (let i = 0; i + 1 < flat.length; i += 2) {
    const [field, value] = [flat[i]!, flat[i + 1]!]
    if (field === 'identity') identity = JSON.parse(value) as SessionIdentity
    else if (field === 'answer') answer = JSON.parse(value) as SessionAnswer
    else if (field === 'poller') poller = value
    else if (field.startsWith(CHANNEL_FIELD) && value !== RESERVED) {
      channels.set(field.slice(CHANNEL_FIELD.length), value)
    }
  }
  return identity && toSession(identity, { channels, answer, poller })
}
