import { deflateRawSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { clientFrame, formatNumber, FrameReader, type FrameHandler } from '../../bench/generator/frames.ts'
import { Tally } from '../../bench/generator/tally.ts'

/** A server's frame; `bits` are those of its first byte. */
function serverFrame(payload: Buffer, bits = 0x81): Buffer {
  const { length } = payload
  const head = length < 126 ? Buffer.alloc(2) : length < 65536 ? Buffer.alloc(4) : Buffer.alloc(10)
  head[0] = bits
  head[1] = length < 126 ? length : length < 65536 ? 126 : 127
  if (head.length === 4) head.writeUInt16BE(length, 2)
  if (head.length === 10) head.writeBigUInt64BE(BigInt(length), 2)
  return Buffer.concat([head, payload])
}

const message = (number: number, fill = 40) =>
  Buffer.from(`{"__type":"message","body":"{\\"n\\":\\"${formatNumber(number)}\\"}${'x'.repeat(fill)}"}`)

/** What a reader reports for these chunks. Each is in a buffer that is overwritten afterwards. */
function read(chunks: readonly Buffer[], more: Partial<FrameHandler<string>> = {}): string[] {
  const heard: string[] = []
  const reader = new FrameReader('alice', {
    isMessage: (chunk, start) => chunk[start + 11] === 'm'.charCodeAt(0),
    message: (connection, number) => heard.push(`${connection} ${number}`),
    control: (connection, opcode, text) => heard.push(`${connection} ${opcode}:${text}`),
    ...more,
  })
  const shared = Buffer.alloc(300_000)
  for (const chunk of chunks) {
    chunk.copy(shared)
    reader.read(shared, chunk.length)
    shared.fill(0xff)
  }
  return heard
}

describe('the frame reader of the load generator', () => {
  const bytes = Buffer.concat([
    serverFrame(Buffer.from('{"__type":"subscribeOk"}')),
    serverFrame(message(1)),
    serverFrame(message(2, 500)),
    serverFrame(Buffer.from('hello'), 0x89),
    serverFrame(message(3, 100)),
  ])
  const expected = ['alice 1:{"__type":"subscribeOk"}', 'alice 1', 'alice 2', 'alice 9:hello', 'alice 3']

  it('reads the same frames wherever the bytes are split', () => {
    for (let cut = 0; cut <= bytes.length; cut++) {
      expect(read([bytes.subarray(0, cut), bytes.subarray(cut)]), `cut at ${cut}`).toEqual(expected)
    }
  })

  it('reads the same frames byte by byte', () => {
    expect(read([...bytes].map((byte) => Buffer.from([byte])))).toEqual(expected)
  })

  it('counts a message that is larger than the buffer once, when its last byte arrives', () => {
    const large = Buffer.concat([serverFrame(message(7, 200_000)), serverFrame(message(8))])
    const chunks = [large.subarray(0, 65536), large.subarray(65536, 131072), large.subarray(131072)]
    expect(read(chunks.slice(0, 2))).toEqual([])
    expect(read(chunks)).toEqual(['alice 7', 'alice 8'])
  })

  it('finds the number when it is at another offset than in the last message', () => {
    const shifted = Buffer.from(`{"__type":"message","channel":"a","body":"${formatNumber(5)}..."}`)
    expect(read([Buffer.concat([serverFrame(message(4)), serverFrame(shifted)])])).toEqual([
      'alice 4',
      'alice 5',
    ])
  })

  it('counts compressed messages without a number, and passes them to a handler that wants them', () => {
    const compressed = deflateRawSync(message(9))
    const frames = Buffer.concat([serverFrame(compressed, 0xc1), serverFrame(compressed, 0xc1)])
    expect(read([frames])).toEqual(['alice -1', 'alice -1'])

    const seen: Buffer[] = []
    const heard = read([frames], {
      wantsCompressed: () => seen.length === 0,
      compressed: (_, payload) => {
        seen.push(Buffer.from(payload))
        return false
      },
    })
    expect(seen).toEqual([compressed])
    expect(heard).toEqual(['alice -1'])
  })

  it('masks the frames of a client', () => {
    const frame = clientFrame('x'.repeat(200))
    expect([...frame.subarray(0, 8)]).toEqual([0x81, 0x80 | 126, 0, 200, 0, 0, 0, 0])
    expect(frame.length).toBe(208)
  })
})

describe('the tally of the load generator', () => {
  it('counts messages that arrive twice or out of order', () => {
    const tally = new Tally()
    const alice = tally.addConnection()
    const bob = tally.addConnection()
    for (const number of [0, 1, 3, 2, 3, 4]) tally.count(alice, number)
    for (const number of [0, 1]) tally.count(bob, number)
    expect(tally.deliveries).toBe(8)
    expect(tally.disorder).toBe(2)
    expect([tally.lastOf(alice), tally.lastOf(bob)]).toEqual([4, 1])
  })

  it('measures latency from the scheduled time, not from the time of sending', () => {
    const tally = new Tally()
    const alice = tally.addConnection()
    tally.measureLatency([1000, 1020, 1040], 10)
    tally.now = 1050
    for (const number of [10, 11, 12]) tally.count(alice, number)
    const { p50, max } = tally.takeLatency()
    expect(p50).toBeCloseTo(30, 0)
    expect(max).toBeCloseTo(50, 0)
  })
})
