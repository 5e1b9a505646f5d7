import { KEPT_REVOCATIONS } from './backend.ts'
import type { Commands } from './redisConnection.ts'

const NOW = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)`

/**
 * Each new revocation also removes some that are too old, or one that exceeds the maximum count. The number is bounded,
 * so that the script stays short.
 */
const KEEP = `${NOW}
redis.call('ZADD', KEYS[1], string.format('%.0f', now), ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
local old = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now - tonumber(ARGV[2])), 'LIMIT', 0, 100)
if #old == 0 and redis.call('ZCOUNT', KEYS[1], '-inf', '+inf') > tonumber(ARGV[3]) then
  old = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '+inf', 'LIMIT', 0, 1)
end
if #old > 0 then redis.call('ZREM', KEYS[1], unpack(old)) end`

const READ = `${NOW}
return redis.call('ZRANGEBYSCORE', KEYS[1], string.format('%.0f', now - tonumber(ARGV[1])), '+inf')`

/**
 * Stored revocations, sorted by time on the clock of Redis. A node whose subscriber was disconnected reads them when it
 * is back.
 */
export class RedisRevocations {
  readonly #commands: Commands
  readonly #key: string

  constructor(commands: Commands, namespace: string) {
    this.#commands = commands
    this.#key = `${namespace}revocations`
  }

  async keep(text: string): Promise<void> {
    const { ms, count } = KEPT_REVOCATIONS
    await this.#commands.eval(KEEP, 1, this.#key, text, ms, count)
  }

  async since(ms: number): Promise<readonly string[]> {
    return (await this.#commands.eval(READ, 1, this.#key, ms)) as string[]
  }
}
