import { randomUUID } from 'node:crypto'
import type { ChannelNameOf, InputOf } from '@broadcaster/channels'
import { Redis } from 'ioredis'
import { channels } from '../channels.ts'

type Schemas = typeof channels.schemas
type Publish = <Name extends ChannelNameOf<Schemas>>(
  channel: Name,
  body: InputOf<Schemas, Name>,
) => Promise<unknown>

/** What the simulator publishes with. */
export type Broker = {
  readonly publish: Publish
  /** Whether this process publishes, and the rate that was set last. `null`: none that is known. */
  lead(): Promise<{ isLeader: boolean; perSecond: number | null }>
  setRate(perSecond: number): Promise<unknown>
  close(): void
}

/** For one process without Redis. */
export function ownBroker(publish: Publish): Broker {
  let perSecond: number | null = null
  return {
    publish,
    lead: async () => ({ isLeader: true, perSecond }),
    setRate: async (rate) => void (perSecond = rate),
    close: () => {},
  }
}

const LEADER_MS = 3_000

/** Makes the caller the leader, unless there is another one. Returns also the rate. */
const LEAD = `
local leader = redis.call('GET', KEYS[1])
local rate = redis.call('GET', KEYS[2])
if leader and leader ~= ARGV[1] then return {0, rate} end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return {1, rate}`

/** Publishes as any other program does: with PUBLISH. */
export function redisBroker(url: string): Broker {
  const id = randomUUID()
  const redis = new Redis(url, {
    enableAutoPipelining: true,
    // What can't be sent now fails at once, and is counted.
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    retryStrategy: () => 200,
  })
  // The broadcaster logs that Redis is away.
  redis.on('error', () => {})
  return {
    publish: async (channel, body) => redis.publish(channel, channels.encode(channel, body)),
    lead: async () => {
      const answer = await redis.eval(LEAD, 2, 'demo:simulator', 'demo:rate', id, LEADER_MS)
      const [isLeader, rate] = answer as [number, string | null]
      return { isLeader: isLeader === 1, perSecond: rate === null ? null : Number(rate) }
    },
    setRate: (perSecond) => redis.set('demo:rate', perSecond),
    close: () => redis.disconnect(),
  }
}
