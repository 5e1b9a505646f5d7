import { EPOCH_MS, makeBeacon, RUNS, timeOfBeacon } from '../channels/position.ts'
import type { ControlCodec } from '../control/codec.ts'
import { beaconTemplate } from '../control/control.ts'
import { BroadcasterError } from '../errors.ts'
import type { Beacon } from './backend.ts'
import { runSaltOf } from './controlChannel.ts'
import type { Commands } from './redisConnection.ts'
import type { Names } from './redisRights.ts'
import { redisScripts, type RedisScripts } from './redisScripts.ts'

/**
 * The common part of both scripts. A beacon number is a time in ms, followed by 13 bits that identify this run of
 * Redis (see `position.ts`). If the key is lost (restart, failover), the clock keeps numbers from decreasing. If the
 * clock is set back, `floor` does. If the Redis user may not call INFO, the run is 0.
 *
 * Numbers are ahead of the clock only by the amount that a clock was set back, and by 1 ms for each beacon above a
 * thousand per second. A wrong time zone is a mistake of less than a day. A number that is further ahead comes from
 * another program, or from a clock that was wrong by days. It would stay ahead permanently. So the script ignores such a
 * key or floor, and nodes recognize this by the number that they get.
 */
const NEXT = `
local time = redis.call('TIME')
local now = math.max(0, time[1] * 1000 + math.floor(time[2] / 1000) - ${EPOCH_MS})
local function believed(number)
  local ms = type(number) == 'string' and math.floor((tonumber(number) or 0) / ${RUNS}) or 0
  return ms <= now + 86400000 and ms or 0
end
local ms = math.max(now, believed(redis.pcall('GET', KEYS[1])) + 1, believed(ARGV[1]) + 1)
local info = redis.pcall('INFO', 'server')
local id = type(info) == 'string' and string.match(info, 'run_id:(%x%x%x%x)') or '0'
local run = (tonumber(id, 16) + tonumber(ARGV[3])) % ${RUNS}
local number = string.format('%.0f', ms * ${RUNS} + run)`

/**
 * Makes the next beacon and publishes it in one atomic step, so that all nodes receive beacons in the order of their
 * numbers.
 */
const MAKE = `${NEXT}
redis.call('SET', KEYS[1], number)
local receivers = redis.call('PUBLISH', ARGV[2], ARGV[4] .. number .. ARGV[5])
return { number, string.format('%.0f', now + ${EPOCH_MS}), receivers }`

/**
 * Publishes a beacon that a node has proposed and signed, because Redis must not know the secret. The script accepts
 * the proposal if it is at least the next number, is of this run, and is not implausibly far ahead of the clock.
 * Otherwise it returns the next number, and -1 in place of the number of receivers.
 */
const TAKE = `${NEXT}
local proposed = tonumber(ARGV[4])
local proposedMs = math.floor(proposed / ${RUNS})
if proposedMs < ms or proposedMs > now + 86400000 or proposed % ${RUNS} ~= run then
  return { number, string.format('%.0f', now + ${EPOCH_MS}), -1 }
end
redis.call('SET', KEYS[1], ARGV[4])
return { ARGV[4], string.format('%.0f', now + ${EPOCH_MS}), redis.call('PUBLISH', ARGV[2], ARGV[5]) }`

/**
 * How far a proposal is ahead of the clock. It is about the latency to Redis, so that most proposals are accepted at
 * the first try.
 */
const AHEAD_MS = 20
/** The maximum number of proposals. Retries are needed while other nodes propose at the same time. */
const MAX_TRIES = 20

const scripts = { make: MAKE, take: TAKE }
/** A beacon whose reply was lost is not made again here: the caller decides that. */
const unrepeatable = new Set(Object.keys(scripts))

type Reply = [number: string, nowMs: string, receivers: number]

/** Makes beacons with a script in Redis. */
export class RedisBeacons {
  readonly #scripts: RedisScripts<keyof typeof scripts>
  readonly #names: Names
  readonly #codec: ControlCodec
  readonly #salt: number
  /**
   * The least number that Redis would accept next, as far as is known; and how far the clock of Redis is ahead of ours.
   */
  #next = 0
  #aheadMs = 0

  constructor(commands: Commands, names: Names, codec: ControlCodec) {
    this.#scripts = redisScripts(commands, scripts, unrepeatable)
    this.#names = names
    this.#codec = codec
    this.#salt = runSaltOf(names.controlChannel, names.namespace)
  }

  async make(floor: number): Promise<Beacon> {
    if (this.#codec.isSigned) return this.#propose(floor)
    const [n, nowMs, receivers] = await this.#run('make', floor, ...beaconTemplate)
    return { n: Number(n), nowMs: Number(nowMs), receivers }
  }

  async #propose(floor: number): Promise<Beacon> {
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const n = this.#proposal(tries)
      const text = this.#codec.encode(this.#names.controlChannel, { type: 'beacon', number: n })
      const [next, nowMs, receivers] = await this.#run('take', floor, String(n), text)
      this.#next = Number(next)
      this.#aheadMs = Number(nowMs) - Date.now()
      this.#codec.brokerTime(Number(nowMs))
      if (receivers >= 0) return { n, nowMs: Number(nowMs), receivers }
    }
    throw new BroadcasterError('brokerUnavailable', 'Other nodes made a beacon before each of ours')
  }

  /** Returns a number with a random distance that grows with each try, so that nodes that collide separate. */
  #proposal(tries: number): number {
    const leastMs = Math.max(timeOfBeacon(this.#next) + 1, Date.now() + this.#aheadMs + AHEAD_MS)
    return makeBeacon(leastMs + Math.floor(Math.random() * 2 ** Math.min(tries, 10)), this.#next)
  }

  async #run(script: keyof typeof scripts, floor: number, ...args: string[]): Promise<Reply> {
    const { namespace, controlChannel } = this.#names
    const all = [floor, controlChannel, this.#salt, ...args]
    return (await this.#scripts[script]([`${namespace}beaconNumber`], ...all)) as Reply
  }
}
