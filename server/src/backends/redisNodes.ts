import type { Commands } from './redisConnection.ts'
import type { Names } from './redisRights.ts'

/**
 * KEYS: the sorted set of the nodes, by the time on the clock of Redis at which they are gone. ARGV: a node, and how long
 * it stays in the set, in ms; 0 removes it.
 */
const MEET = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ttl = tonumber(ARGV[2])
if ttl > 0 then
  redis.call('ZADD', KEYS[1], string.format('%.0f', now + ttl), ARGV[1])
  redis.call('PEXPIRE', KEYS[1], string.format('%.0f', 2 * ttl))
else
  redis.call('ZREM', KEYS[1], ARGV[1])
end
local gone = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now), 'LIMIT', 0, 100)
if #gone > 0 then redis.call('ZREM', KEYS[1], unpack(gone)) end
return redis.call('ZRANGEBYSCORE', KEYS[1], string.format('%.0f', now), '+inf')`

/** The list of the nodes that hold copies for each other. One command announces a node and reads the list. */
export class RedisNodes {
  readonly #commands: Commands
  readonly #key: string

  constructor(commands: Commands, { namespace, controlChannel }: Names) {
    this.#commands = commands
    this.#key = `${namespace}living:${controlChannel}`
  }

  async meet(node: string, ttlMs: number): Promise<readonly string[]> {
    return (await this.#commands.eval(MEET, 1, this.#key, node, ttlMs)) as string[]
  }
}
