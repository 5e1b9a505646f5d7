import type { Redis } from 'ioredis'

/** What Redis has done since it started. */
export type RedisTraffic = {
  /** Bytes that it has received. */
  readonly received: number
  /** Bytes that it has sent. */
  readonly sent: number
  /** Messages that were published, also by scripts. */
  readonly publishes: number
  /** Scripts that were run. */
  readonly scripts: number
}

export async function trafficOf(redis: Redis): Promise<RedisTraffic> {
  const [stats, commands] = await Promise.all([redis.info('stats'), redis.info('commandstats')])
  const numberIn = (text: string, pattern: RegExp) => Number(pattern.exec(text)?.[1] ?? 0)
  const calls = (...names: string[]) =>
    names.reduce((sum, name) => sum + numberIn(commands, new RegExp(`cmdstat_${name}:calls=(\\d+)`)), 0)
  return {
    received: numberIn(stats, /total_net_input_bytes:(\d+)/),
    sent: numberIn(stats, /total_net_output_bytes:(\d+)/),
    publishes: calls('publish'),
    scripts: calls('eval', 'evalsha'),
  }
}
