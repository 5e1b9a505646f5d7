import { makeBeacon, timeOfBeacon } from '../channels/position.ts'
import type { ControlCodec } from '../control/codec.ts'
import { beaconTemplate } from '../control/control.ts'
import { BroadcasterError } from '../errors.ts'
import type { Beacon } from './backend.ts'
import { runSaltOf } from './controlChannel.ts'
import type { Commands } from './redisConnection.ts'
import type { Names } from './redisRights.ts'

/**
 * What both scripts begin with. A number is a time in ms, and behind it ten bits of the identity of this run of Redis (see
 * `position.ts`). The clock keeps numbers from going back when the key is lost (a restart, a failover), `floor` when
 * the clock goes back. Whoever may not ask for INFO has no run.
 *
 * Numbers run ahead of the clock only by what a clock was set back, and by 1 ms for each beacon over a thousand a second. No
 * mistake about time zones makes a day; who is further ahead was told so by somebody else, or by a clock that was days off, and
 * would stay ahead for ever. The key and the floor are not believed then, and nodes hear it from the number that they get.
 */
const NEXT = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function believed(number)
  local ms = type(number) == 'string' and math.floor((tonumber(number) or 0) / 1024) or 0
  return ms <= now + 86400000 and ms or 0
end
local ms = math.max(now, believed(redis.pcall('GET', KEYS[1])) + 1, believed(ARGV[1]) + 1)
local info = redis.pcall('INFO', 'server')
local id = type(info) == 'string' and string.match(info, 'run_id:(%x%x%x)') or '0'
local run = (tonumber(id, 16) + tonumber(ARGV[3])) % 1024
local number = string.format('%.0f', ms * 1024 + run)`

/** Makes the next beacon and publishes it in one step, so that all nodes see beacons in the order of their numbers. */
const MAKE = `${NEXT}
redis.call('SET', KEYS[1], number)
redis.call('PUBLISH', ARGV[2], ARGV[4] .. number .. ARGV[5])
return { number, string.format('%.0f', now) }`

/**
 * The same with a number that a node has proposed and signed, since Redis must not know the secret. It is taken if it is not
 * below the next one, of this run, and not further ahead of the clock than can be believed. Returns the next number otherwise.
 */
const TAKE = `${NEXT}
local proposed = tonumber(ARGV[4])
local proposedMs = math.floor(proposed / 1024)
if proposedMs < ms or proposedMs > now + 86400000 or proposed % 1024 ~= run then
  return { number, string.format('%.0f', now), 0 }
end
redis.call('SET', KEYS[1], ARGV[4])
redis.call('PUBLISH', ARGV[2], ARGV[5])
return { ARGV[4], string.format('%.0f', now), 1 }`

/** A proposal is ahead of the clock by about what a way to Redis takes, so that most are taken at once. */
const AHEAD_MS = 20
/** Proposals until the nodes that propose at the same time have made way. */
const MAX_TRIES = 20

/** Makes beacons, through a script of Redis. */
export class RedisBeacons {
  readonly #commands: Commands
  readonly #names: Names
  readonly #codec: ControlCodec
  readonly #salt: number
  /** The next number, as far as is known, and what the clock of Redis is ahead of ours. */
  #next = 0
  #aheadMs = 0

  constructor(commands: Commands, names: Names, codec: ControlCodec) {
    this.#commands = commands
    this.#names = names
    this.#codec = codec
    this.#salt = runSaltOf(names.controlChannel, names.namespace)
  }

  async make(floor: number): Promise<Beacon> {
    if (this.#codec.isSigned) return this.#propose(floor)
    const [n, nowMs] = await this.#run(MAKE, floor, ...beaconTemplate)
    return { n: Number(n), nowMs: Number(nowMs) }
  }

  async #propose(floor: number): Promise<Beacon> {
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const n = this.#proposal(tries)
      const text = this.#codec.encode(this.#names.controlChannel, { type: 'beacon', n })
      const [next, nowMs, isTaken] = await this.#run(TAKE, floor, String(n), text)
      this.#next = Number(next)
      this.#aheadMs = Number(nowMs) - Date.now()
      this.#codec.brokerTime(Number(nowMs))
      if (isTaken === 1) return { n, nowMs: Number(nowMs) }
    }
    throw new BroadcasterError('brokerUnavailable', 'Other nodes made a beacon before each of ours')
  }

  /** Nodes that met at one number go apart with each try. */
  #proposal(tries: number): number {
    const leastMs = Math.max(timeOfBeacon(this.#next) + 1, Date.now() + this.#aheadMs + AHEAD_MS)
    return makeBeacon(leastMs + Math.floor(Math.random() * 2 ** Math.min(tries, 10)), this.#next)
  }

  #run(script: string, floor: number, ...args: string[]): Promise<[string, string, number?]> {
    const { namespace, controlChannel } = this.#names
    const all = [floor, controlChannel, this.#salt, ...args]
    return this.#commands.eval(script, 1, `${namespace}beacon`, ...all) as Promise<[string, string, number?]>
  }
}
