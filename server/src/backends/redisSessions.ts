import type { Position } from '@broadcaster/protocol'
import { createHash } from 'node:crypto'
import {
  sessionLife,
  type Session,
  type SessionAnswer,
  type SessionIdentity,
  type SessionLife,
  type SessionStore,
  type SessionSubscribeOptions,
} from '../sessions.ts'
import { wasCutOff, type Commands } from './redisConnection.ts'

/**
 * A session is one hash, so that all of it expires together: `identity`, `poller` and `answer`, and a field for each
 * channel. A sorted set of their ids by time of expiry tells how many there are, without a counter that a crash leaves
 * wrong.
 */
const CHANNEL_FIELD = 'channel:'

const scripts = {
  create: `
redis.call('HSET', KEYS[1], 'identity', ARGV[1])
return redis.call('PEXPIRE', KEYS[1], ARGV[2])`,

  beginPoll: `
local session = redis.call('HGETALL', KEYS[1])
if #session == 0 then return false end
redis.call('HSET', KEYS[1], 'poller', ARGV[1])
local isProlonged = redis.call('PTTL', KEYS[1]) < tonumber(ARGV[3])
if isProlonged then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return { session, isProlonged and 1 or 0 }`,

  commitAnswer: `
if redis.call('HGET', KEYS[1], 'poller') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'answer', ARGV[2])
for i = 3, #ARGV, 2 do
  if redis.call('HEXISTS', KEYS[1], ARGV[i]) == 1 then redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
end
return 1`,

  subscribe: `
if redis.call('HEXISTS', KEYS[1], 'identity') == 0 then return 'gone' end
local isNew = redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0
if isNew then
  local others = 1 + redis.call('HEXISTS', KEYS[1], 'poller') + redis.call('HEXISTS', KEYS[1], 'answer')
  if redis.call('HLEN', KEYS[1]) - others >= tonumber(ARGV[3]) then return 'full' end
end
if isNew or ARGV[4] == '1' then redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) end
if redis.call('HEXISTS', KEYS[1], 'poller') == 0 then redis.call('HSET', KEYS[1], 'poller', ARGV[6]) end
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[5]) then redis.call('PEXPIRE', KEYS[1], ARGV[5]) end
return redis.call('HMGET', KEYS[1], ARGV[1], 'poller')`,

  unsubscribe: `
if redis.call('HEXISTS', KEYS[1], 'identity') == 0 then return false end
redis.call('HDEL', KEYS[1], ARGV[1])
return { redis.call('HGET', KEYS[1], 'poller') }`,

  end: `
local poller = redis.call('HGET', KEYS[1], 'poller')
redis.call('DEL', KEYS[1])
return poller`,
}

type Scripts = Record<keyof typeof scripts, (key: string, ...args: (string | number)[]) => Promise<unknown>>

/** Sessions read at a time when all are asked for. */
const PAGE = 200

export class RedisSessions implements SessionStore {
  readonly #redis: Commands
  readonly #run: Scripts
  readonly #namespace: string
  readonly #life: SessionLife

  constructor(redis: Commands, namespace: string, timeoutMs: number) {
    this.#redis = redis
    this.#namespace = namespace
    this.#life = sessionLife(timeoutMs)
    this.#run = Object.fromEntries(
      Object.entries(scripts).map(([name, lua]) => [name, script(redis, lua)]),
    ) as Scripts
  }

  async create(id: string, identity: SessionIdentity): Promise<void> {
    await Promise.all([
      this.#run.create(this.#key(id), JSON.stringify(identity), this.#life.idleMs),
      this.#noteExpiry(id, this.#life.idleMs),
    ])
  }

  async read(id: string): Promise<Session | null> {
    return parseSession(Object.entries(await this.#redis.hgetall(this.#key(id))))
  }

  async beginPoll(id: string, poller: string): Promise<Session | null> {
    const { pollingMs } = this.#life
    // Polls may be many a second; a life that has hardly begun need not begin anew.
    const enoughMs = Math.ceil(pollingMs * 0.75)
    const reply = await this.#run.beginPoll(this.#key(id), poller, pollingMs, enoughMs)
    if (reply === null) return null
    const [fields, isProlonged] = reply as [string[], number]
    // Only for the count: no poll waits for it, and the next one makes up for it.
    if (isProlonged === 1) this.#noteExpiry(id, pollingMs).catch(() => {})
    return parseSession(pairs(fields))
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
    return (await this.#run.commitAnswer(this.#key(id), poller, JSON.stringify(answer), ...fields)) === 1
  }

  async subscribe(
    id: string,
    channel: string,
    position: Position,
    { replace, maxChannels, poller }: SessionSubscribeOptions,
  ): Promise<{ position: Position; poller: string } | 'gone' | 'full'> {
    const reply = await this.#run.subscribe(
      this.#key(id),
      CHANNEL_FIELD + channel,
      position,
      Number.isFinite(maxChannels) ? maxChannels : Number.MAX_SAFE_INTEGER,
      replace ? 1 : 0,
      this.#life.idleMs,
      poller,
    )
    if (reply === 'gone' || reply === 'full') return reply
    const [known, last] = reply as [Position, string]
    return { position: known, poller: last }
  }

  async unsubscribe(id: string, channel: string): Promise<{ poller: string | null } | null> {
    const reply = await this.#run.unsubscribe(this.#key(id), CHANNEL_FIELD + channel)
    return reply === null ? null : { poller: first(reply) }
  }

  async end(id: string): Promise<string | null> {
    const [poller] = await Promise.all([this.#run.end(this.#key(id)), this.#redis.zrem(this.#expiryKey, id)])
    return poller as string | null
  }

  async count(): Promise<number> {
    const now = Date.now()
    const [, count] = await Promise.all([
      this.#redis.zremrangebyscore(this.#expiryKey, '-inf', now),
      this.#redis.zcount(this.#expiryKey, now, '+inf'),
    ])
    return count
  }

  async *all(): AsyncIterable<readonly [string, Session]> {
    const ids = await this.#redis.zrangebyscore(this.#expiryKey, Date.now(), '+inf')
    for (let i = 0; i < ids.length; i += PAGE) {
      const page = ids.slice(i, i + PAGE)
      const sessions = await Promise.all(page.map((id) => this.read(id)))
      for (const [j, session] of sessions.entries()) if (session !== null) yield [page[j]!, session]
    }
  }

  async #noteExpiry(id: string, lifeMs: number): Promise<void> {
    await this.#redis.zadd(this.#expiryKey, Date.now() + lifeMs, id)
  }

  #key(id: string): string {
    return `${this.#namespace}session:${id}`
  }

  get #expiryKey(): string {
    return `${this.#namespace}sessions`
  }
}

function parseSession(fields: readonly (readonly [string, string])[]): Session | null {
  const channels = new Map<string, Position>()
  let identity: SessionIdentity | null = null
  let answer: SessionAnswer | null = null
  let poller: string | null = null
  for (const [field, value] of fields) {
    if (field === 'identity') identity = JSON.parse(value) as SessionIdentity
    else if (field === 'answer') answer = JSON.parse(value) as SessionAnswer
    else if (field === 'poller') poller = value
    else if (field.startsWith(CHANNEL_FIELD)) channels.set(field.slice(CHANNEL_FIELD.length), value)
  }
  return identity && { ...identity, channels, answer, poller }
}

function pairs(flat: readonly string[]): [string, string][] {
  const result: [string, string][] = []
  for (let i = 0; i + 1 < flat.length; i += 2) result.push([flat[i]!, flat[i + 1]!])
  return result
}

function first(reply: unknown): string | null {
  return Array.isArray(reply) && typeof reply[0] === 'string' ? reply[0] : null
}

/**
 * Runs by its hash, and is sent whole only where Redis does not know it yet, or has forgotten it. One that was cut off is run
 * again: all of them come to the same then, except for `end`, whose answer would be another one.
 */
function script(redis: Commands, lua: string): Scripts[keyof Scripts] {
  const hash = createHash('sha1').update(lua).digest('hex')
  let isKnown = false
  const run: Scripts[keyof Scripts] = async (key, ...args) => {
    // Whatever is sent a second time comes after what was sent meanwhile: polls would be begun in another order.
    if (isKnown) {
      try {
        return await redis.evalsha(hash, 1, key, ...args)
      } catch (error) {
        if (!(error as Error).message.startsWith('NOSCRIPT')) throw error
        isKnown = false
      }
    }
    const reply = await redis.eval(lua, 1, key, ...args)
    isKnown = true
    return reply
  }
  return async (key, ...args) => {
    try {
      return await run(key, ...args)
    } catch (error) {
      if (!wasCutOff(error) || lua === scripts.end) throw error
      return run(key, ...args)
    }
  }
}
