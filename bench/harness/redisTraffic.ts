import type { Redis } from 'ioredis'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Figures } from './figures.ts'

/** Messages per second, and their size. */
const MESSAGE_RATE = 1000
const MESSAGE_BYTES = 100

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
  /** CPU microseconds, user and system. */
  readonly cpuUs: number
}

export async function trafficOf(redis: Redis): Promise<RedisTraffic> {
  const [stats, commands, cpu] = await Promise.all(
    ['stats', 'commandstats', 'cpu'].map((section) => redis.info(section)),
  )
  const numberIn = (text: string | undefined, pattern: RegExp) => Number(pattern.exec(text ?? '')?.[1] ?? 0)
  const calls = (...names: string[]) =>
    names.reduce((sum, name) => sum + numberIn(commands, new RegExp(`cmdstat_${name}:calls=(\\d+)`)), 0)
  return {
    received: numberIn(stats, /total_net_input_bytes:(\d+)/),
    sent: numberIn(stats, /total_net_output_bytes:(\d+)/),
    publishes: calls('publish'),
    scripts: calls('eval', 'evalsha'),
    cpuUs: 1e6 * (numberIn(cpu, /used_cpu_user:([\d.]+)/) + numberIn(cpu, /used_cpu_sys:([\d.]+)/)),
  }
}

/** Publishes on the channels in turn, and measures what Redis does for each message. */
export async function messageFiguresOf(
  redis: Redis,
  channels: readonly string[],
  seconds: number,
): Promise<Figures> {
  const before = await trafficOf(redis)
  const begin = performance.now()
  const count = MESSAGE_RATE * seconds
  const body = 'x'.repeat(MESSAGE_BYTES)
  for (let sent = 0; sent < count;) {
    const due = Math.min(count, ((performance.now() - begin) / 1000) * MESSAGE_RATE)
    const batch: Promise<number>[] = []
    for (; sent < due; sent++) batch.push(redis.publish(channels[sent % channels.length]!, body))
    await Promise.all(batch)
    await sleep(1)
  }
  const after = await trafficOf(redis)
  return {
    redisBytesPerMessage: (after.sent - before.sent) / count,
    redisCpuUsPerMessage: (after.cpuUs - before.cpuUs) / count,
  }
}
