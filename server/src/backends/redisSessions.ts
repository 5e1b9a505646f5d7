import type { Position } from '@broadcaster/protocol'
import { createHash } from 'node:crypto'
import {
  sessionLife,
  type Session,
  type SessionAnswer,
  type SessionIdentity,
  type SessionLife,
  type SessionStore,
  type SessionSubscribed,
  type SessionSubscribeOptions,
} from './sessions.ts'
import { wasCutOff, type Commands } from './redisConnection.ts'

/**
 * A session is one hash, so that all of it expires together. Its fields are `identity`, `poller` and `answer`, and one
 * field for each channel. A sorted set contains the ids of all sessions by their time of expiry. It is the list of
 * sessions; unlike a counter, it cannot become wrong by a crash. Revocations use it to find the sessions that match. So
 * the script that creates or prolongs a session also updates the set in the same atomic step, with the clock of Redis,
 * by which the session expires.
 *
 * In a Redis Cluster, the hash and the set are on different servers, and a script cannot access both. A common hash tag
 * would put all sessions on one server, and would end all existing sessions when it is introduced. So in a Cluster the
 * set is updated in a separate step, with the clock of the set's server.
 */
const CHANNEL_FIELD = 'channel:'

/**
 * Adds the session to the set. KEYS: session, set of sessions. The last two arguments are the life in ms and the id.
 * Each call also removes some entries that expired long ago. The number is bounded, because the set may come from a
 * version that never removed entries.
 */
const NOTE = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local lifeMs = tonumber(ARGV[#ARGV - 1])
local set = KEYS[#KEYS]
redis.call('ZADD', set, string.format('%.0f', now + lifeMs), ARGV[#ARGV])
local long = string.format('%.0f', now - 2 * lifeMs)
local over = redis.call('ZRANGEBYSCORE', set, '-inf', long, 'LIMIT', 0, 100)
if #over > 0 then redis.call('ZREM', set, unpack(over)) end`

const note = `if KEYS[2] then${NOTE.replaceAll('\n', '\n  ')}
end`

const scripts = {
  create: `
redis.call('HSET', KEYS[1], 'identity', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
${note}`,

  beginPoll: `
local session = redis.call('HGETALL', KEYS[1])
if #session == 0 then return false end
redis.call('HSET', KEYS[1], 'poller', ARGV[1])
if redis.call('PTTL', KEYS[1]) >= tonumber(ARGV[2]) then return { session, 0 } end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
${note}
return { session, 1 }`,

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
if redis.call('HEXISTS', KEYS[1], 'poller') == 0 then redis.call('HSET', KEYS[1], 'poller', ARGV[5]) end
local isProlonged = redis.call('PTTL', KEYS[1]) < tonumber(ARGV[6])
if isProlonged then
  redis.call('PEXPIRE', KEYS[1], ARGV[6])
  ${note}
end
local known = redis.call('HMGET', KEYS[1], ARGV[1], 'poller')
return { known[1], known[2], isNew and 1 or 0, isProlonged and 1 or 0 }`,

  unsubscribe: `
if redis.call('HEXISTS', KEYS[1], 'identity') == 0 then return false end
redis.call('HDEL', KEYS[1], ARGV[1])
return { redis.call('HGET', KEYS[1], 'poller') }`,

  end: `
local poller = redis.call('HGET', KEYS[1], 'poller')
redis.call('DEL', KEYS[1])
if KEYS[2] then redis.call('ZREM', KEYS[2], ARGV[1]) end
return poller`,

  /** KEYS: set of sessions. */
  note: NOTE,

  count: `
local time = redis.call('TIME')
return redis.call('ZCOUNT', KEYS[1], string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000)), '+inf')`,
}

type Scripts = Record<
  keyof typeof scripts,
  (keys: readonly string[], ...args: (string | number)[]) => Promise<unknown>
>

/** The number of sessions that `all` reads at a time. */
const PAGE = 200

export class RedisSessions implements SessionStore {
  readonly #redis: Commands
  readonly #run: Scripts
  readonly #namespace: string
  readonly #life: SessionLife
  readonly #isCluster: boolean

  constructor(redis: Commands, namespace: string, timeoutMs: number, isCluster: boolean) {
    this.#redis = redis
    this.#isCluster = isCluster
    this.#namespace = namespace
    this.#life = sessionLife(timeoutMs)
    this.#run = Object.fromEntries(
      Object.entries(scripts).map(([name, lua]) => [name, script(redis, lua)]),
    ) as Scripts
  }

  async create(id: string, identity: SessionIdentity): Promise<void> {
    const { idleMs } = this.#life
    // The set is updated first: a session that is not in the set cannot be found by a revocation.
    if (this.#isCluster) await this.#note(id, idleMs)
    await this.#run.create(this.#keys(id), JSON.stringify(identity), idleMs, idleMs, id)
  }

  async read(id: string): Promise<Session | null> {
    return parseSession(Object.entries(await this.#redis.hgetall(this.#key(id))))
  }

  async beginPoll(id: string, poller: string): Promise<Session | null> {
    const { pollingMs } = this.#life
    // There may be many polls per second. The session is prolonged only if a quarter of its life has passed.
    const enoughMs = Math.ceil(pollingMs * 0.75)
    const reply = await this.#run.beginPoll(this.#keys(id), poller, enoughMs, pollingMs, pollingMs, id)
    if (reply === null) return null
    const [fields, isProlonged] = reply as [string[], number]
    if (isProlonged === 1) await this.#noteProlonged(id, pollingMs)
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
    return (await this.#run.commitAnswer([this.#key(id)], poller, JSON.stringify(answer), ...fields)) === 1
  }

  async subscribe(
    id: string,
    channel: string,
    position: Position,
    { replace, maxChannels, poller }: SessionSubscribeOptions,
  ): Promise<SessionSubscribed | 'gone' | 'full'> {
    const { idleMs } = this.#life
    const reply = await this.#run.subscribe(
      this.#keys(id),
      CHANNEL_FIELD + channel,
      position,
      Number.isFinite(maxChannels) ? maxChannels : Number.MAX_SAFE_INTEGER,
      replace ? 1 : 0,
      poller,
      idleMs,
      idleMs,
      id,
    )
    if (reply === 'gone' || reply === 'full') return reply
    const [known, last, isNew, isProlonged] = reply as [Position, string, number, number]
    if (isProlonged === 1) await this.#noteProlonged(id, idleMs)
    return { position: known, poller: last, isNew: isNew === 1 }
  }

  async unsubscribe(id: string, channel: string): Promise<{ poller: string | null } | null> {
    const reply = await this.#run.unsubscribe([this.#key(id)], CHANNEL_FIELD + channel)
    return reply === null ? null : { poller: first(reply) }
  }

  async end(id: string): Promise<string | null> {
    const [poller] = await Promise.all([
      this.#run.end(this.#keys(id), id),
      this.#isCluster ? this.#redis.zrem(this.#setKey, id) : null,
    ])
    return poller as string | null
  }

  async count(): Promise<number> {
    return (await this.#run.count([this.#setKey])) as number
  }

  async *all(): AsyncIterable<readonly [string, Session]> {
    // This includes ids whose time in the set has passed. Whether the session still exists is decided by its hash.
    const ids = await this.#redis.zrangebyscore(this.#setKey, '-inf', '+inf')
    for (let i = 0; i < ids.length; i += PAGE) {
      const page = ids.slice(i, i + PAGE)
      const sessions = await Promise.all(page.map((id) => this.read(id)))
      for (const [j, session] of sessions.entries()) if (session !== null) yield [page[j]!, session]
    }
  }

  async #note(id: string, lifeMs: number): Promise<void> {
    await this.#run.note([this.#setKey], lifeMs, id)
  }

  /** An error is ignored: the next update of the set comes before the old entry is removed. */
  async #noteProlonged(id: string, lifeMs: number): Promise<void> {
    if (this.#isCluster) await this.#note(id, lifeMs).catch(() => {})
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
 * Runs a script by its hash. The text of the script is sent only if Redis does not know the script yet, or no longer.
 * If the connection breaks before the reply, the script is run again. This is safe for every script except `end`, whose
 * second reply would be different.
 */
function script(redis: Commands, lua: string): Scripts[keyof Scripts] {
  const hash = createHash('sha1').update(lua).digest('hex')
  let isKnown = false
  const run: Scripts[keyof Scripts] = async (keys, ...args) => {
    // The text is sent first if the script is not known to be loaded. If EVALSHA failed, the retry would run after
    // commands that were sent in between, and polls would begin in a different order.
    if (isKnown) {
      try {
        return await redis.evalsha(hash, keys.length, ...keys, ...args)
      } catch (error) {
        if (!(error as Error).message.startsWith('NOSCRIPT')) throw error
        isKnown = false
      }
    }
    const reply = await redis.eval(lua, keys.length, ...keys, ...args)
    isKnown = true
    return reply
  }
  return async (keys, ...args) => {
    try {
      return await run(keys, ...args)
    } catch (error) {
      if (!wasCutOff(error) || lua === scripts.end) throw error
      return run(keys, ...args)
    }
  }
}
