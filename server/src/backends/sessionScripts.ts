import { SEQS_LENGTH } from './sessions.ts'

/**
 * A session is one hash, so that all of it expires together:
 *
 * - `identity`: the part that never changes
 * - `owner`: the part of `identity` that every request needs. Older versions did not write it
 * - `poller`, `answer`: the last poll, and its answer
 * - `hasMissed`: exists if that answer reported missed messages
 * - `changed`: exists if channels or `answer` have changed since the last poll has read the session
 * - `seqs`: the keys of the `seq` of the last polls, with a space after each key
 * - `nameBytes`: the number of bytes of the names of its channels
 * - a field for each channel, with its position, or {@link RESERVED} while the broker is asked for the channel
 *
 * A sorted set contains the ids of all sessions by their time of expiry. It is the list of sessions; unlike a counter, it
 * cannot become wrong by a crash. Revocations use it to find the sessions that match. So the script that creates or prolongs
 * a session also updates the set in the same atomic step, with the clock of Redis, by which the session expires.
 *
 * In a Redis Cluster, the hash and the set are on different servers, and a script cannot access both. A common hash tag
 * would put all sessions on one server, and would end all existing sessions when it is introduced. So in a Cluster the
 * set is updated in a separate step, with the clock of the set's server.
 */
export const CHANNEL_FIELD = 'channel:'
export const RESERVED = 'reserved'

const NOW = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)`

/**
 * Adds the session to the set, which is the last of KEYS. The last two arguments are the life in ms and the id. Each call
 * also removes some entries that expired long ago. The number is bounded, because the set may come from a version that
 * never removed entries.
 */
const NOTE = `${NOW}
local lifeMs = tonumber(ARGV[#ARGV - 1])
local set = KEYS[#KEYS]
redis.call('ZADD', set, string.format('%.0f', now + lifeMs), ARGV[#ARGV])
local long = string.format('%.0f', now - 2 * lifeMs)
local over = redis.call('ZRANGEBYSCORE', set, '-inf', long, 'LIMIT', 0, 100)
if #over > 0 then redis.call('ZREM', set, unpack(over)) end`

const note = `if KEYS[2] then${NOTE}
end`

const COUNT = `${NOW}
local living = redis.call('ZCOUNT', KEYS[#KEYS], string.format('%.0f', now), '+inf')`

/** What {@link scripts.beginPoll} returns has changed. */
const CHANGED = `redis.call('HSET', KEYS[1], 'changed', '1')`

/** ARGV: the channel's field. */
const REMOVE = `
if redis.call('HDEL', KEYS[1], ARGV[1]) == 1 then
  ${CHANGED}
  local bytes = (tonumber(redis.call('HGET', KEYS[1], 'nameBytes') or 0)) - #ARGV[1] + ${CHANNEL_FIELD.length}
  redis.call('HSET', KEYS[1], 'nameBytes', math.max(0, bytes))
end`

/** KEYS are the session, and outside a Cluster also the set of sessions, unless a script says otherwise. */
export const scripts = {
  /** ARGV: identity, owner, the maximum number of sessions, life, id. In a Cluster, `noteNew` has counted the sessions. */
  create: `
if KEYS[2] then${COUNT}
  if living >= tonumber(ARGV[3]) then return 0 end
end
redis.call('HSET', KEYS[1], 'identity', ARGV[1])
redis.call('HSET', KEYS[1], 'owner', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
${note}
return 1`,

  /** ARGV: the field to return, life, id. */
  touch: `
local value = redis.call('HGET', KEYS[1], ARGV[1]) or redis.call('HGET', KEYS[1], 'identity')
if not value then return false end
local hasMissed = redis.call('HEXISTS', KEYS[1], 'hasMissed')
if redis.call('PTTL', KEYS[1]) >= tonumber(ARGV[2]) then return { value, hasMissed, 0 } end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
${note}
return { value, hasMissed, 1 }`,

  /**
   * ARGV: poller, the key of its `seq` or '', the poll with which this node has read the session or '', `enoughMs`, life, id. The
   * session is not returned if that was its last poll, and it has not changed since.
   */
  beginPoll: `
local isKnown = ARGV[3] ~= '' and redis.call('HGET', KEYS[1], 'poller') == ARGV[3]
  and redis.call('HEXISTS', KEYS[1], 'changed') == 0
local session = not isKnown and redis.call('HGETALL', KEYS[1])
if session and #session == 0 then return false end
local isLate = false
if ARGV[2] ~= '' then
  local seqs = redis.call('HGET', KEYS[1], 'seqs') or ' '
  local key = ' ' .. ARGV[2] .. ' '
  if string.sub(seqs, -#key) ~= key then
    isLate = string.find(seqs, key, 1, true) ~= nil
    if not isLate then
      redis.call('HSET', KEYS[1], 'seqs', string.sub(seqs .. ARGV[2] .. ' ', -${SEQS_LENGTH}))
    end
  end
end
if not isLate then
  redis.call('HSET', KEYS[1], 'poller', ARGV[1])
  if session then redis.call('HDEL', KEYS[1], 'changed') end
end
local isProlonged = redis.call('PTTL', KEYS[1]) < tonumber(ARGV[4])
if isProlonged then
  redis.call('PEXPIRE', KEYS[1], ARGV[5])
  ${note}
end
return { session, isLate and 1 or 0, isProlonged and 1 or 0 }`,

  /** ARGV: poller, answer, whether it reports missed messages, then the field and the position of each channel. */
  commitAnswer: `
if redis.call('HGET', KEYS[1], 'poller') ~= ARGV[1] then return 0 end
${CHANGED}
redis.call('HSET', KEYS[1], 'answer', ARGV[2])
if ARGV[3] == '1' then redis.call('HSET', KEYS[1], 'hasMissed', '1') end
for i = 4, #ARGV, 2 do
  local known = redis.call('HGET', KEYS[1], ARGV[i])
  if known and known ~= '${RESERVED}' then redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
end
return 1`,

  /** ARGV: the channel's field, the maximum number of channels, the maximum number of bytes of names. */
  reserve: `
if redis.call('HEXISTS', KEYS[1], 'identity') == 0 then return 'gone' end
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 then return 'reserved' end
local others = 0
for _, field in ipairs({ 'identity', 'owner', 'poller', 'answer', 'hasMissed', 'changed', 'seqs', 'nameBytes' }) do
  others = others + redis.call('HEXISTS', KEYS[1], field)
end
if redis.call('HLEN', KEYS[1]) - others >= tonumber(ARGV[2]) then return 'tooManyChannels' end
local bytes = (tonumber(redis.call('HGET', KEYS[1], 'nameBytes') or 0)) + #ARGV[1] - ${CHANNEL_FIELD.length}
if bytes > tonumber(ARGV[3]) then return 'namesTooLong' end
redis.call('HSET', KEYS[1], ARGV[1], '${RESERVED}')
redis.call('HSET', KEYS[1], 'nameBytes', bytes)
return 'reserved'`,

  release: `
if redis.call('HGET', KEYS[1], ARGV[1]) ~= '${RESERVED}' then return end
${REMOVE}`,

  /** ARGV: the channel's field, position, whether it replaces the stored position, poller, life, id. */
  subscribe: `
if redis.call('HEXISTS', KEYS[1], 'identity') == 0 then return 'gone' end
local known = redis.call('HGET', KEYS[1], ARGV[1])
if not known then return 'unreserved' end
local isNew = known == '${RESERVED}'
if isNew or ARGV[3] == '1' then
  ${CHANGED}
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
end
if redis.call('HEXISTS', KEYS[1], 'poller') == 0 then redis.call('HSET', KEYS[1], 'poller', ARGV[4]) end
local isProlonged = redis.call('PTTL', KEYS[1]) < tonumber(ARGV[5])
if isProlonged then
  redis.call('PEXPIRE', KEYS[1], ARGV[5])
  ${note}
end
local holds = redis.call('HMGET', KEYS[1], ARGV[1], 'poller')
return { holds[1], holds[2], isNew and 1 or 0, isProlonged and 1 or 0 }`,

  unsubscribe: `
if redis.call('HEXISTS', KEYS[1], 'identity') == 0 then return false end
local known = redis.call('HGET', KEYS[1], ARGV[1])
${REMOVE}
return { known and known ~= '${RESERVED}' and 1 or 0, redis.call('HGET', KEYS[1], 'poller') }`,

  end: `
local poller = redis.call('HGET', KEYS[1], 'poller')
redis.call('DEL', KEYS[1])
if KEYS[2] then redis.call('ZREM', KEYS[2], ARGV[1]) end
return poller`,

  /** KEYS: the set of sessions. ARGV: life, id. */
  note: NOTE,

  /** KEYS: the set of sessions. ARGV: the maximum number of sessions, life, id. */
  noteNew: `do${COUNT}
  if living >= tonumber(ARGV[1]) then return 0 end
end
${NOTE}
return 1`,

  /** KEYS: the set of sessions. */
  count: `${COUNT}
return living`,
}

/** A script is run again if its reply was lost, except these scripts, whose second reply would be different. */
export const UNREPEATABLE: ReadonlySet<string> = new Set<keyof typeof scripts>(['end'])
