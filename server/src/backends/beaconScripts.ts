import { EPOCH_MS, RUNS } from '../channels/position.ts'

type Publish = 'PUBLISH' | 'SPUBLISH'

/** The parts of the scripts that make beacon numbers. A number is a time in ms and a run (see `position.ts`). */

const CLOCK = `
local time = redis.call('TIME')
local now = math.max(0, time[1] * 1000 + math.floor(time[2] / 1000) - ${EPOCH_MS})
local stored = redis.pcall('GET', KEYS[1])
if type(stored) ~= 'string' then stored = '' end`

/**
 * The run of a single Redis: a number from its `run_id`, and from when the run began, if that was not with the process. If
 * the Redis user may not call INFO, the `run_id` counts as 0.
 */
const RUN_OF_PROCESS = `
local last, since = string.match(stored, '^(%d+) ?(%d*)$')
local info = redis.pcall('INFO', 'server')
local id = type(info) == 'string' and string.match(info, 'run_id:(%x%x%x%x)') or '0'
local function run_since(time) return (tonumber(id, 16) + tonumber(ARGV[1]) + (tonumber(time) or 0)) % ${RUNS} end
local prefix = ' '`

/**
 * The run of the owner of the key's slot in a Redis Cluster. The key contains the last number, who held the slot then,
 * and since when. A holder is a process (`run_id`) in one stretch of time as a master (`master_replid`, which changes
 * with each promotion). If the holder is another one than this server, a new run begins here. So a run ends also if the
 * slot moves to another server and back, or if a failover is followed by another one: the positions before and after
 * cannot be compared, because messages were published elsewhere meanwhile. The run also depends on the key: nodes that
 * take different keys for that of a server have different views of the Cluster, and must not compare positions.
 */
const RUN_OF_HOLDER = `
local info = redis.call('INFO', 'server') .. redis.call('INFO', 'replication')
local server = string.match(info, 'run_id:(%x+)') or ''
local holder = server .. ':' .. (string.match(info, 'master_replid:(%x+)') or '')
local last, before, since = string.match(stored, '^(%d+) (%S+) (%d+)$')
if before ~= holder then since = string.format('%.0f', now) end
local function run_since(time)
  local hash = redis.sha1hex(KEYS[1] .. holder .. time)
  return (tonumber(string.sub(hash, 1, 8), 16) + tonumber(ARGV[1])) % ${RUNS}
end
local prefix = ' ' .. holder .. ' '`

const RUN = `
local run = run_since(since)`

/**
 * A node has seen that the numbers of this run went backwards: the key was lost or changed while nodes were connected, and the
 * clock is behind the last number. Nodes that do not know the last number count from lower ones, so the positions of this run
 * are no longer the same on all nodes. A new run begins.
 */
const END_RUN = `
local tries = 0
while ARGV[3] == '1' and run == tonumber(ARGV[2]) % ${RUNS} do
  since = string.format('%.0f', now + tries)
  run = run_since(since)
  tries = tries + 1
end`

const SUFFIX = `
local suffix = since and since ~= '' and prefix .. since or ''`

/**
 * If the key is lost (restart, failover), the clock keeps numbers from decreasing. If the clock is set back, `floor`
 * does.
 *
 * Numbers are ahead of the clock only by the amount that a clock was set back, and by 1 ms for each beacon above a
 * thousand per second. A wrong time zone is a mistake of less than a day. A number that is further ahead comes from
 * another program, or from a clock that was wrong by days. It would stay ahead permanently. So the script ignores such a
 * key or floor, and nodes recognize this by the number that they get.
 */
const NEXT = `
local function believed(number)
  local ms = math.floor((tonumber(number) or 0) / ${RUNS})
  return ms <= now + 86400000 and ms or 0
end
local ms = math.max(now, believed(last or 0) + 1, believed(ARGV[2]) + 1)
local number = string.format('%.0f', ms * ${RUNS} + run)`

/**
 * Makes the next beacon and publishes it in one atomic step, so that all nodes receive beacons in the order of their
 * numbers. ARGV: salt, floor, whether the run of the floor is over, control channel, the text before and after the number.
 */
const make = (publish: Publish): string => `
redis.call('SET', KEYS[1], number .. suffix)
local receivers = redis.call('${publish}', ARGV[4], ARGV[5] .. number .. ARGV[6])
return { number, string.format('%.0f', now + ${EPOCH_MS}), receivers }`

/**
 * Publishes a beacon that a node has proposed and signed, because Redis must not know the secret. The script accepts
 * the proposal if it is at least the next number, is of this run, and is not implausibly far ahead of the clock.
 * Otherwise it returns the next number, and -1 in place of the number of receivers. ARGV: salt, floor,
 * whether the run of the floor is over, control channel, the number, its text.
 */
const take = (publish: Publish): string => `
local proposed = tonumber(ARGV[5])
local proposedMs = math.floor(proposed / ${RUNS})
if proposedMs < ms or proposedMs > now + 86400000 or proposed % ${RUNS} ~= run then
  return { number, string.format('%.0f', now + ${EPOCH_MS}), -1 }
end
redis.call('SET', KEYS[1], ARGV[5] .. suffix)
return { ARGV[5], string.format('%.0f', now + ${EPOCH_MS}), redis.call('${publish}', ARGV[4], ARGV[6]) }`

const scripts = (run: string, publish: Publish): { readonly make: string; readonly take: string } => ({
  make: CLOCK + run + RUN + END_RUN + SUFFIX + NEXT + make(publish),
  take: CLOCK + run + RUN + END_RUN + SUFFIX + NEXT + take(publish),
})

/**
 * - `single`: a single Redis
 * - `meeting`: the owner of a slot of a Cluster, at which all nodes subscribe to all channels
 * - `shard`: the owner of a slot of a Cluster, with sharded pub/sub
 */
export type BrokerKind = 'single' | 'meeting' | 'shard'

/** KEYS: the key of the last beacon. */
export const beaconScripts = {
  single: scripts(RUN_OF_PROCESS, 'PUBLISH'),
  meeting: scripts(RUN_OF_HOLDER, 'PUBLISH'),
  shard: scripts(RUN_OF_HOLDER, 'SPUBLISH'),
} satisfies Record<BrokerKind, unknown>

/**
 * Records in the key that this server holds the slot. Returns its `run_id` and the number of the run. ARGV: salt.
 */
export const HOLD = `${CLOCK}${RUN_OF_HOLDER}${RUN}${SUFFIX}
redis.call('SET', KEYS[1], (last or '0') .. suffix)
return { server, run }`

/** Publishes on the server that owns the slot of the key. ARGV: channel, body. */
export const PUBLISH = `return redis.call('PUBLISH', ARGV[1], ARGV[2])`
