// Measures the recovery of missed messages from another node: how many messages come back, how long event loops are blocked, and
// whether Redis closes connections. It is not a scenario of the bench, because no peer can do this.
//
//   npx tsx --conditions=@broadcaster/source bench/backfill.ts                     all cases but the largest
//   npx tsx --conditions=@broadcaster/source bench/backfill.ts "1,000 x 1 MiB"     one case
import { fork, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { fileURLToPath } from 'node:url'
import { broadcaster } from '@broadcaster/server'
import express from 'express'
import { Redis } from 'ioredis'
import { WebSocket } from 'ws'

type Case = { channels: number; messages: number; isLarge?: boolean }

/** Messages have 1 KB. A log of 1 MiB holds 900 of them. */
const cases: Record<string, Case> = {
  '10 x 900 KB': { channels: 10, messages: 900 },
  '30 x 900 KB': { channels: 30, messages: 900 },
  '50 x 900 KB': { channels: 50, messages: 900 },
  '100 x 900 KB': { channels: 100, messages: 900 },
  '1,000 x 1 MiB': { channels: 1000, messages: 930, isLarge: true },
}
const MESSAGE_BYTES = 1000
const RETRY_MS = 1000
/** Less than what Redis buffers for a subscriber before it closes its connection. */
const MOST_UNPROCESSED_BYTES = 4e6

type Usage = { blockedMs: number; busyMs: number; rssMb: number }

if (process.send === undefined) await main(process.argv[2])
else await serve()

/** A node in its own process. It reports how long its event loop was blocked. */
async function serve(): Promise<void> {
  const live = broadcaster({
    redis: process.env['REDIS_URL']!,
    recovery: { window: 600_000, maxTotalBytes: Infinity },
    limits: { bufferedBytes: Infinity, requestsPerSecond: Infinity },
  })
  const server = express().use('/broadcast', live).listen(0, '127.0.0.1')
  await Promise.all([once(server, 'listening'), live.ready()])
  const delay = monitorEventLoopDelay({ resolution: 1 })
  let busyMs = 0
  let rss = 0
  let before = process.cpuUsage()
  process.on('message', (word) => {
    if (word === 'start') {
      delay.enable()
      delay.reset()
      before = process.cpuUsage()
      busyMs = rss = 0
      // On a shared machine, a turn may take long because other processes use the core. CPU time does not include them.
      setInterval(() => {
        const { user, system } = process.cpuUsage(before)
        before = process.cpuUsage()
        busyMs = Math.max(busyMs, (user + system) / 1000)
        rss = Math.max(rss, process.memoryUsage.rss())
      }, 1)
    } else {
      process.send!({ blockedMs: delay.max / 1e6, busyMs, rssMb: rss / 1e6 } satisfies Usage)
    }
  })
  process.on('disconnect', () => process.exit())
  process.send!({ port: (server.address() as AddressInfo).port })
}

async function main(only?: string): Promise<void> {
  const wanted = Object.entries(cases).filter(([name, { isLarge }]) => (only ? name === only : !isLarge))
  if (wanted.length === 0)
    throw new Error(`There is no case "${only}"; there are ${Object.keys(cases).join(', ')}`)
  const rows: Record<string, string | number>[] = []
  for (const [name, options] of wanted) rows.push({ case: name, ...(await run(options)) })
  console.table(rows)
}

/** A client with the positions of all channels connects to a node that has no logs of them. Two other nodes have the logs. */
async function run({ channels, messages }: Case): Promise<Record<string, string | number>> {
  const port = await freePort()
  const redisServer = spawn('redis-server', ['--port', String(port), '--save', '', '--dir', tmpdir()])
  await once(redisServer.stdout, 'data')
  const redis = new Redis(port)
  const nodes: { child: ChildProcess; port: number }[] = []
  try {
    for (let i = 0; i < 3; i++) nodes.push(await startNode(port))
    const names = Array.from({ length: channels }, (_, i) => `channel ${i}`)
    const positions = new Map<string, string>()
    const holders = nodes.slice(0, 2)
    for (const holder of holders) {
      const answers = await subscribeAll(
        holder.port,
        names.map((channel) => ({ channel })),
      )
      for (const { channel, position } of answers) positions.set(channel, position!)
    }
    // When this is answered, the holder has processed everything that was published before.
    const processed = () =>
      Promise.all(holders.map((holder) => subscribeAll(holder.port, [{ channel: 'last' }])))
    let unprocessedBytes = 0
    for (let i = 0; i < messages; i++) {
      await Promise.all(names.map((channel) => redis.publish(channel, `${i}`.padEnd(MESSAGE_BYTES, '.'))))
      unprocessedBytes += channels * MESSAGE_BYTES
      if (unprocessedBytes < MOST_UNPROCESSED_BYTES) continue
      await processed()
      unprocessedBytes = 0
    }
    await processed()
    const connections = await subscribersOf(redis)
    for (const { child } of nodes) child.send('start')
    const begin = performance.now()
    const wanted = names.map((channel) => ({ channel, position: positions.get(channel)! }))
    const answers = await subscribeAll(nodes[2]!.port, wanted)
    const seconds = (performance.now() - begin) / 1000
    const usages: Usage[] = []
    for (const { child } of nodes) {
      child.send('stop')
      usages.push(((await once(child, 'message')) as [Usage])[0])
    }
    const [asked, idle] = usages.slice(0, 2).sort((a, b) => b.busyMs - a.busyMs)
    const asking = usages[2]!
    const left = await subscribersOf(redis)
    return {
      recovered: answers.filter((answer) => answer.recovered && answer.messages?.length === messages).length,
      seconds: seconds.toFixed(1),
      'asking: blocked, busy ms': ms(asking),
      answering: ms(asked!),
      'other holder': ms(idle!),
      'asking: RSS MB': Math.round(asking.rssMb),
      'cut off by Redis': connections.filter((id) => !left.includes(id)).length,
    }
  } finally {
    for (const { child } of nodes) child.kill('SIGKILL')
    redis.disconnect()
    redisServer.kill('SIGKILL')
  }
}

function ms({ blockedMs, busyMs }: Usage): string {
  return `${blockedMs.toFixed(0)}, ${busyMs.toFixed(0)}`
}

async function startNode(redisPort: number): Promise<{ child: ChildProcess; port: number }> {
  const child = fork(fileURLToPath(import.meta.url), {
    execArgv: ['--conditions=@broadcaster/source', '--import', 'tsx'],
    env: { ...process.env, REDIS_URL: `redis://127.0.0.1:${redisPort}` },
  })
  const [{ port }] = (await once(child, 'message')) as [{ port: number }]
  return { child, port }
}

type Answer = {
  channel: string
  /** Missing if the channel could not be subscribed. */
  position?: string
  recovered?: boolean
  messages?: unknown[]
}

/** A client subscribes to all channels at once, then disconnects. The node retains the channels for a while. */
async function subscribeAll(
  port: number,
  wanted: readonly { channel: string; position?: string }[],
): Promise<Answer[]> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/broadcast`)
  await once(socket, 'open')
  const answers: Answer[] = []
  const ask = (each: object): void => socket.send(JSON.stringify({ __type: 'subscribe', ...each }))
  const done = new Promise<void>((resolve) => {
    socket.on('message', (data: Buffer) => {
      const message = JSON.parse(data.toString('latin1')) as Answer & { __type: string }
      if (message.__type === 'authOk') {
        for (const each of wanted) ask(each)
      } else if (message.__type === 'serverError') {
        // Not everything has come in time. Like our client, it asks again later, and the node continues where it was.
        setTimeout(
          ask,
          RETRY_MS,
          wanted.find(({ channel }) => channel === message.channel)!,
        )
      } else if (message.channel !== undefined && message.__type !== 'message') {
        if (answers.push(message) === wanted.length) resolve()
      }
    })
  })
  socket.send('{"__type":"auth","__v":1}')
  await done
  socket.terminate()
  return answers
}

async function subscribersOf(redis: Redis): Promise<string[]> {
  const list = (await redis.call('CLIENT', 'LIST', 'TYPE', 'pubsub')) as string
  return list.match(/^id=\d+/gm) ?? []
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  return port
}
