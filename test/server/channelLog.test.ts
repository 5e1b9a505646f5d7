import { expect, it } from 'vitest'
import { ChannelLog, type Entry, type LogLimits } from '../../server/src/channels/log.ts'

const limits: LogLimits = {
  maxMessages: 100,
  maxBytes: 1_000_000,
  maxUndeliveredBytes: 1_000_000,
  onUndelivered: () => {},
}
const at = (count: number) => ({ beacon: 8192, count })
const entry = (count: number): Entry => ({
  ...at(count),
  json: '"x"',
  bytes: 100,
  receivedAt: 1000 * count,
  arrival: count,
})

function logWith(...counts: number[]): ChannelLog {
  const log = new ChannelLog(limits, at(0), 'node', () => null)
  for (const count of counts) log.append(entry(count))
  return log
}

it('the head of a log is its newest message, also when older ones have expired', () => {
  const log = logWith(1, 2, 3)
  log.dropBefore(2500, 'expired')
  expect([log.size, log.start, log.head]).toEqual([1, at(2), at(3)])
})

it('the head of a log stays when all messages have expired, until there is a new one', () => {
  const log = logWith(1, 2, 3)
  log.dropBefore(3500, 'expired')
  expect([log.size, log.start, log.head]).toEqual([0, at(3), at(3)])
  log.append(entry(4))
  expect([log.size, log.start, log.head]).toEqual([1, at(3), at(4)])
})

it('the head of a log stays when it was ahead of the newest message, and this one expires', () => {
  const log = logWith(1)
  log.reach(at(5))
  log.dropBefore(1500, 'expired')
  expect([log.size, log.start, log.head]).toEqual([0, at(1), at(5)])
})
