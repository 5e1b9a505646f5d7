import { Redis } from 'ioredis'
import { describe, expect, it } from 'vitest'
import { signIn } from '../support/connect.ts'
import { channelName } from '../support/names.ts'
import { startRedis } from '../support/redis.ts'
import { startServer } from '../support/server.ts'
import { transports } from '../support/subject.ts'
import { tidy } from '../support/tidy.ts'
import { until } from '../support/waiting.ts'

const hello = new TextEncoder().encode('h\u00e9llo')
const shared = new Uint8Array(new SharedArrayBuffer(3))
shared.set([0x61, 0x62, 0x63])

/** A body, its bytes, and what clients get. */
const bodies: [what: string, body: unknown, hex: string, text: string][] = [
  ['a Buffer', Buffer.from('h\u00e9llo'), '68c3a96c6c6f', 'h\u00e9llo'],
  ['a Uint8Array', hello, '68c3a96c6c6f', 'h\u00e9llo'],
  ['a part of one', hello.subarray(1, 4), 'c3a96c', '\u00e9l'],
  ['an ArrayBuffer', hello.slice().buffer, '68c3a96c6c6f', 'h\u00e9llo'],
  ['a SharedArrayBuffer', shared.buffer, '616263', 'abc'],
  ['an array in shared memory', shared, '616263', 'abc'],
  ['a DataView', new DataView(hello.buffer, 3, 2), '6c6c', 'll'],
  ['a Uint16Array', new Uint16Array(Uint8Array.from([0x68, 0x69]).buffer), '6869', 'hi'],
  ['a Float64Array', new Float64Array([0]), '0000000000000000', '\0'.repeat(8)],
  ['bytes that are not UTF-8', Buffer.from([0x61, 0xff, 0xc3, 0x62]), '61ffc362', 'a\uFFFD\uFFFDb'],
  ['bytes that begin with a BOM', Buffer.from('\uFEFFx'), 'efbbbf78', '\uFEFFx'],
  ['an empty Buffer', Buffer.alloc(0), '', ''],
  ['text', 'h\u00e9llo', '68c3a96c6c6f', 'h\u00e9llo'],
  ['text with a lone surrogate', 'a\uD83Db', '61efbfbd62', 'a\uFFFDb'],
  ['JSON with a lone surrogate', ['\uD83D'], '5b225c7564383364225d', '["\\ud83d"]'],
  ['bytes within JSON', { raw: Buffer.from('x') }, '', '{"raw":{"type":"Buffer","data":[120]}}'],
]

describe('publish() of', () => {
  it.each(bodies)(
    '%s delivers the same text with the memory backend and with Redis',
    async (_, body, hex, text) => {
      const redis = tidy(await startRedis())
      const onRedis = tidy(await startServer({ redis: redis.url }))
      const channel = channelName()
      const stranger = new Redis(redis.url)
      tidy({ close: () => stranger.disconnect() })
      const raw: string[] = []
      stranger.on('messageBuffer', (_, message: Buffer) => raw.push(message.toString('hex')))
      await stranger.subscribe(channel)
      for (const server of [onRedis, tidy(await startServer())]) {
        for (const transport of transports) {
          const alice = await signIn(server, { transport })
          await alice.subscribe(channel)
          await server.broadcaster.publish(channel, body)
          expect(await alice.next()).toEqual({ __type: 'message', channel, body: text })
        }
      }
      await until('the messages of the other subscriber', () => raw.length === transports.length)
      expect(raw[0]).toBe(hex === '' ? Buffer.from(text).toString('hex') : hex)
    },
  )

  it('bytes sends the bytes at the time of the call', async () => {
    const server = tidy(await startServer({ redis: tidy(await startRedis()).url }))
    const channel = channelName()
    const alice = await signIn(server, { transport: 'websocket' })
    await alice.subscribe(channel)
    const reused = Buffer.alloc(1)
    const sent: Promise<void>[] = []
    for (const letter of 'abc') {
      reused.write(letter)
      sent.push(server.broadcaster.publish(channel, reused))
    }
    reused.write('z')
    await Promise.all(sent)
    expect(await alice.bodies(channel, 3)).toEqual(['a', 'b', 'c'])
  })

  it.each<[what: string, body: unknown, reason: RegExp]>([
    ['undefined', undefined, /undefined/],
    ['a function', function render() {}, /the function render/],
    ['a symbol', Symbol('x'), /Symbol\(x\)/],
    ['a big integer', { id: 1n }, /BigInt/],
    ['a toJSON that throws', { toJSON: () => JSON.parse('{') as unknown }, /JSON/],
    ['a toJSON that returns undefined', { toJSON() {} }, /cannot be converted to JSON/],
  ])('%s says why not', async (_, body, reason) => {
    const { broadcaster } = tidy(await startServer())
    await expect(broadcaster.publish(channelName(), body)).rejects.toMatchObject({
      code: 'invalidOption',
      message: expect.stringMatching(reason),
    })
  })
})

it.each<[what: unknown, got: string]>([
  [5, 'got 5'],
  [undefined, 'got undefined'],
  ['a\uD83D', 'got a lone surrogate'],
])('publish() to the channel %j says what it got', async (name, got) => {
  const { broadcaster } = tidy(await startServer())
  await expect(broadcaster.publish(name as string, 'hello')).rejects.toMatchObject({
    code: 'invalidOption',
    message: expect.stringContaining(got),
  })
})

describe('the only listener of a channel', () => {
  it('receives texts of every length and of every kind of character', async () => {
    const server = tidy(await startServer())
    const channel = channelName()
    const alice = await signIn(server, { transport: 'websocket', auth: { __v: 1 } })
    await alice.subscribe(channel)
    const lengths = [...Array(130).keys(), 200, 255, 256, 257, 4000, 4095, 4096, 4097, 65_535, 70_000]
    for (const length of lengths) {
      // The second one has other characters than ASCII.
      for (const text of ['x'.repeat(length), `${'x'.repeat(length)}é\u{1F600}`]) {
        await server.publish(channel, text)
        expect((await alice.next())['body']).toBe(text)
      }
    }
  })
})
