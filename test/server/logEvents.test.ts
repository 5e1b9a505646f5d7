import { broadcaster } from '@broadcaster/server'
import express from 'express'
import { Writable } from 'node:stream'
import { pino } from 'pino'
import { describe, expect, it } from 'vitest'
import { startRedis } from '../support/redis.ts'
import { listen } from '../support/server.ts'
import { tidy } from '../support/tidy.ts'
import { until } from '../support/waiting.ts'
import { WebSocketPeer } from '../support/webSocketPeer.ts'

describe('logger: pino()', () => {
  it('gets lines with an event, a level and the error', async () => {
    const lines: Record<string, unknown>[] = []
    const output = new Writable({
      write(chunk, _encoding, done) {
        lines.push(JSON.parse(String(chunk)) as Record<string, unknown>)
        done()
      },
    })
    const redis = tidy(await startRedis())
    const live = broadcaster({
      redis: redis.url,
      logger: pino({ level: 'debug' }, output),
      canConnect: () => {
        throw new Error('no database')
      },
    })
    const app = express().use('/broadcast', live)
    const origin = await listen(app.listen(0, '127.0.0.1'), live)
    await live.ready()
    const alice = await WebSocketPeer.connect({ url: `${origin}/broadcast`, publish: async () => {} })
    await alice.auth()
    await redis.stop()
    const has = (event: string) => lines.find((line) => line['event'] === event)
    await until('the outage', () => has('redisAway'))
    expect(has('canConnectFailed')).toMatchObject({
      level: 50,
      msg: 'canConnect failed; the client was refused',
      err: { type: 'Error', message: 'no database', stack: expect.stringContaining('logEvents.test') },
    })
    expect(has('refused')).toMatchObject({ level: 30, kind: 'auth', reason: 'Unauthorized' })
    expect(has('redisAway')).toMatchObject({ level: 50, err: expect.anything() })
    await redis.start()
    await until('Redis to be back', () => has('redisBack'))
    expect(has('redisBack')).toMatchObject({ level: 40, downMs: expect.any(Number) })
    expect(lines.filter(({ event }) => typeof event !== 'string')).toEqual([])
  })
})
