import { beaconAt } from '../support/beacons.ts'
import type { Random } from '../simulation/random.ts'

/** Placeholders for the tokens of an attacker's sessions. They have the length of a token, so that lengths stay correct. */
export const tokenPlaces = Array.from(
  { length: 8 },
  (_, index) => `ffffffff-ffff-4fff-8fff-fffffffffff${index}`,
)

/** What `canConnect` and `canSubscribe` of the application do on request. */
export const behaviors = ['slow', 'throw', 'reject', 'refuse', 'never', 'strange'] as const

const oddNames = [
  '',
  ' ',
  'a b',
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  'é\u0000\u2028',
  '\ud800',
  '\ud83d\ude00',
  'x'.repeat(511),
  'x'.repeat(513),
  'é'.repeat(400),
  'y'.repeat(5000),
  'broadcaster',
  'bc:',
  'bc:node',
  '__keyevent@0__:hset',
  '__sentinel__:hello',
  '*',
  '{a}b',
]

/** A channel to subscribe or to publish to. */
export function channelName(random: Random): string {
  const kind = random.weighted({ room: 6, flood: 1, behavior: 2, odd: 2, new: 1 })
  if (kind === 'room') return `room-${random.between(0, 5)}`
  if (kind === 'flood') return 'flood'
  if (kind === 'behavior') return `${random.pick(behaviors)}:${random.between(0, 3)}`
  if (kind === 'odd') return random.pick(oddNames)
  return `new-${random.between(0, 1_000_000)}`
}

/** The name of a client. There are few, so that clients replace each other. */
export function clientName(random: Random): string {
  return random.pick(['mallory', 'mallory-2', 'mallory-3', '__proto__', 'm'.repeat(64), 'm'.repeat(65), ''])
}

export function position(random: Random): string {
  const number = () => random.between(0, 2 ** 40).toString(36)
  return random.pick([
    `${number()}.${random.between(0, 50).toString(36)}`,
    `${beaconAt(Date.UTC(2026, 0)).toString(36)}.0`,
    '0.0',
    'zzzzzzzzzzz.zzzzzzzzzzz',
    '',
    '.',
    '-1.0',
    'a'.repeat(65),
    'b'.repeat(4000),
    '__proto__',
  ])
}

export function bytes(random: Random, length: number): Buffer {
  return Buffer.from(Array.from({ length }, () => random.between(0, 255)))
}
