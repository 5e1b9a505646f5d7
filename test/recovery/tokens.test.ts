import { accept } from '@broadcaster/server'
import { BroadcasterClient } from '@broadcaster/client'
import { expect, it, onTestFinished } from 'vitest'
import { WebSocket } from 'ws'
import { inFull } from '../support/extent.ts'
import { channelName } from '../support/names.ts'
import { startRedis } from '../support/redis.ts'
import { startNodes } from '../support/server.ts'
import { tidy } from '../support/tidy.ts'
import { sleep, until, within } from '../support/waiting.ts'

const CLIENTS = inFull(60, 8)
/** How many tokens that end each client has used at the end, at least. */
const TOKENS = 2
/** How long messages are published, at least. */
const PUBLISHING_MS = inFull(60_000, 0)
const MESSAGES_PER_SECOND = inFull(200, 50)
/** A slower machine gets more time: a token has to last until its client is in. */
const LEAST_TOKEN_MS = 3000
/** A node may notice this much later that a token has ended. */
const LATE_MS = 1000
const LONG_MS = 600_000

/**
 * Time in which this process was running, in ms. The nodes are in this process too, so while it is blocked, they can't notice that a
 * token has ended.
 */
function runningTime() {
  let now = 0
  let last = performance.now()
  const timer = setInterval(() => {
    now += Math.min(performance.now() - last, 50)
    last = performance.now()
  }, 10)
  onTestFinished(() => clearInterval(timer))
  return () => now
}

it(
  'A6, A8: clients whose tokens end every three seconds miss nothing, and nobody is in with an old token',
  { timeout: LONG_MS },
  async () => {
    const now = runningTime()
    const redis = tidy(await startRedis())
    /** The end of each token, in running time. */
    const ends = new Map<number, number>()
    let tokens = 0
    const accepted = new Set<unknown>()
    const cluster = tidy(
      await startNodes(2, {
        redis: redis.url,
        canConnect: ({ token, expiresAt }) => {
          if (expiresAt === null) return true
          accepted.add(token)
          return accept(true, { expiresAt: expiresAt as number })
        },
      }),
    )
    const channel = channelName()
    /** The first tokens do not end. */
    let lifeMs = Infinity
    /** When each message was published, in running time. */
    const published: number[] = []
    const faults: string[] = []
    const begun = performance.now()
    const clients = Array.from({ length: CLIENTS }, (_, i) => {
      const mode = i % 2 === 0 ? 'websocket' : 'longpoll'
      const who = `client ${i} over ${mode}`
      const state = { token: 0, used: 0, last: -1 }
      const auth = () => {
        state.token = ++tokens
        ends.set(state.token, now() + lifeMs)
        if (lifeMs === Infinity) return { token: state.token, expiresAt: null }
        state.used += 1
        return { token: state.token, expiresAt: Date.now() + lifeMs }
      }
      const client = new BroadcasterClient(cluster.url, { mode, auth, WebSocket })
      onTestFinished(() => client.disconnect())
      // This process may have been blocked for so long that a fresh token had ended when it arrived.
      client.on('disconnected', ({ error }) => error && void client.connect())
      const { ready } = client.subscribe(
        channel,
        (body) => {
          const n = Number(body)
          if (state.last >= 0 && n !== state.last + 1) faults.push(`${who} got ${n} after ${state.last}`)
          state.last = n
          const lateMs = published[n]! - ends.get(state.token)!
          if (lateMs > LATE_MS)
            faults.push(`${who} got ${n}, published ${lateMs} ms after its token had ended`)
        },
        { onGap: ({ reason }) => faults.push(`${who} was told of a gap: ${reason}`) },
      )
      return { state, ready }
    })
    await within(Promise.all(clients.map(({ ready }) => ready)), 'the subscriptions')
    lifeMs = Math.max(LEAST_TOKEN_MS, 3 * (performance.now() - begun))
    await cluster.nodes[1]!.broadcaster.reauthorize('everyone')
    const end = performance.now() + PUBLISHING_MS
    while (performance.now() < end || clients.some(({ state }) => state.used < TOKENS)) {
      if (faults.length > 0) break
      published.push(now())
      await cluster.publish(channel, String(published.length - 1))
      await sleep(1000 / MESSAGES_PER_SECOND)
    }
    const last = published.length - 1
    await until(
      'everybody to have the last message',
      () => faults.length > 0 || clients.every(({ state }) => state.last === last),
    )
    expect(faults).toEqual([])
    // Each client has been asked for its tokens, and each token was used once.
    expect(accepted.size).toBeGreaterThanOrEqual(CLIENTS * TOKENS)
  },
)
