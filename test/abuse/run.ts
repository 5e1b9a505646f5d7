import { join } from 'node:path'
import type { TransportName } from '@broadcaster/client'
import { ChildProcess } from '../support/childProcess.ts'
import { startRedis } from '../support/redis.ts'
import { sleep, until } from '../support/waiting.ts'
import type { Abused, Counts } from './abusersMain.ts'
import { honestClient, type Honest } from './honest.ts'
import { measureLoad, type Load } from './load.ts'
import { Publishing } from './publishing.ts'
import type { Answer, Ask } from './serverMain.ts'

export type AbuseOptions = {
  /** The duration of the abuse. */
  readonly seconds: number
  /** Runs only kinds whose name contains one of these. If it is empty, runs all. */
  readonly only: readonly string[]
  readonly log?: (line: string) => void
}

/** The upper bound of the process's resident memory with default limits, in bytes. docs/security.md states it. */
export const MOST_RESIDENT_BYTES = 1024 * 1024 * 1024
/** How much more memory may be in use afterwards, because of caches and compiled code. */
const MARGIN_BYTES = 16 * 1024 * 1024
/** After this time, all time limits are over, and the server has released what it kept for sessions and returning clients. */
const CALM_MS = 120_000
const HONEST: readonly TransportName[] = [
  ...Array.from({ length: 10 }, (): TransportName => 'websocket'),
  ...Array.from({ length: 10 }, (): TransportName => 'longpoll'),
]

export type Report = {
  readonly counts: Counts
  readonly published: number
  readonly deliveries: number
  /** Of the server, of the abusers, and of the honest clients with the publisher, during the abuse. */
  readonly load: Readonly<Record<'server' | 'abusers' | 'honest', Load>>
  readonly latency: Readonly<Record<TransportName, { p50: number; p99: number; max: number }>>
  readonly before: Answer
  readonly during: Answer
  readonly after: Answer
  /** The failures. */
  readonly breaches: readonly string[]
  readonly output: string
}

/** Runs a server with default limits, honest clients, and abusers at all limits at the same time. */
export async function runAbuse(options: AbuseOptions): Promise<Report> {
  const redis = await startRedis()
  const server = new ChildProcess<Ask>(join(import.meta.dirname, 'serverMain.ts'), [redis.url])
  const publishing = new Publishing(redis.url)
  try {
    const { port } = await server.message<{ port: number }>('the server to listen')
    return await abuse(options, server, port, publishing)
  } finally {
    publishing.close()
    await server.stop()
    await redis.stop()
  }
}

async function abuse(
  { seconds, only, log = () => {} }: AbuseOptions,
  server: ChildProcess<Ask>,
  port: number,
  publishing: Publishing,
): Promise<Report> {
  const url = `http://127.0.0.1:${port}/live`
  const honest = await Promise.all(HONEST.map((mode) => honestClient(url, mode)))
  publishing.startHonest()
  await sleep(1000)
  const before = await server.ask<Answer>('measure')
  publishing.startAbuse()
  const abusers = new ChildProcess<'stop'>(join(import.meta.dirname, 'abusersMain.ts'), [
    JSON.stringify({ port, only }),
  ])
  await abusers.message('the abusers to start')
  const honestLoad = measureLoad()
  let during = before
  for (const end = performance.now() + seconds * 1000; performance.now() < end && server.death === null;) {
    await sleep(2000)
    during = await server.ask<Answer>('stats')
    log(progress(during))
  }
  const { counts, load } = await abusers.ask<Abused>('stop')
  const loads = { server: during.load, abusers: load, honest: honestLoad() }
  await abusers.stop()
  publishing.stopHonest()
  const breaches: string[] = []
  await until(
    'the honest clients to have everything',
    () => honest.every(({ record }) => record.last >= publishing.last),
    { ms: CALM_MS },
  ).catch((error: Error) => breaches.push(error.message))
  await Promise.all(honest.map((client) => client.stop()))
  publishing.close()
  const after = await calm(server, before, breaches)
  for (const { record } of honest) {
    const { jumps, gaps, duplicated, outOfOrder } = record.data
    const wrong = jumps.length + gaps.length + duplicated.length + outOfOrder.length
    if (wrong > 0)
      breaches.push(`${record.client}: ${JSON.stringify({ jumps, gaps, duplicated, outOfOrder })}`)
  }
  if (during.peak > MOST_RESIDENT_BYTES) breaches.push(`The process had ${mib(during.peak)}`)
  return {
    counts,
    published: publishing.last,
    deliveries: honest.reduce((sum, { latencies }) => sum + latencies.length, 0),
    load: loads,
    latency: { websocket: latency(honest, 'websocket'), longpoll: latency(honest, 'longpoll') },
    before,
    during,
    after,
    breaches,
    output: server.output,
  }
}

/** Waits until the memory in use is as before. */
async function calm(server: ChildProcess<Ask>, before: Answer, breaches: string[]): Promise<Answer> {
  let after = before
  const isBack = async () => {
    after = await server.ask<Answer>('measure')
    return (
      after.memory.heap + after.memory.external <= before.memory.heap + before.memory.external + MARGIN_BYTES
    )
  }
  await until('the memory to be as before', isBack, { ms: CALM_MS, everyMs: 2000 }).catch((error: Error) =>
    breaches.push(`${error.message}: ${mib(before.memory.heap)} -> ${mib(after.memory.heap)}`),
  )
  return after
}

function latency(honest: readonly Honest[], mode: TransportName): { p50: number; p99: number; max: number } {
  const sorted = honest
    .filter(({ record }) => record.client.startsWith(mode))
    .flatMap(({ latencies }) => latencies)
    .sort((a, b) => a - b)
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN
  return { p50: at(0.5), p99: at(0.99), max: at(1) }
}

function progress({ memory, peak, stats }: Answer): string {
  const { webSockets, waitingPolls, lagging, channels, logBytes } = stats?.node ?? {}
  const counted = JSON.stringify({ webSockets, waitingPolls, lagging, channels, logBytes })
  return `heap ${mib(memory.heap)}, external ${mib(memory.external)}, resident ${mib(memory.resident)}, peak ${mib(peak)} ${counted}`
}

export function mib(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(1)} MiB`
}
