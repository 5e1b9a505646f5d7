import { expect, it } from 'vitest'
// The package does not export it. These cases need servers that answer at the same moment as a slot moves.
import { SlotClaims, type Claim } from '../../server/src/backends/slotClaims.ts'

type Ranges = Claim['ranges']

const answers = (claims: Record<string, readonly [epoch: number, ranges: Ranges]>) =>
  new Map(Object.entries(claims).map(([id, [epoch, ranges]]) => [id, { epoch, ranges }]))

const [A, B, C]: Ranges = [
  [0, 5460],
  [5461, 10922],
  [10_923, 16_383],
]
const threeMasters = answers({ a: [1, [A!]], b: [2, [B!]], c: [3, [C!]] })

function known(): SlotClaims {
  const claims = new SlotClaims()
  expect(claims.update(threeMasters)).toBe(true)
  return claims
}

it('each master has an order, whose control slot is one of its own slots', () => {
  const claims = known()
  expect(claims.controlSlots.size).toBe(3)
  for (const [from, to] of [A!, B!, C!]) {
    const control = claims.controlSlotOf(from)!
    expect(control).toBeGreaterThanOrEqual(from)
    expect(control).toBeLessThanOrEqual(to)
    expect(claims.controlSlotOf(to)).toBe(control)
  }
})

it('slots that no server owns have no order', () => {
  const claims = new SlotClaims()
  expect(claims.update(answers({ a: [1, [A!]], b: [2, [B!]] }))).toBe(true)
  expect(claims.controlSlotOf(11_000)).toBeNull()
  const controls = [A!, B!].map(([from]) => claims.controlSlotOf(from))
  expect(claims.controlSlots).toEqual(new Set(controls))
})

it('a slot that two servers own for a moment belongs to the old one, until that one does not own it any more', () => {
  const claims = known()
  const [old, next] = [claims.controlSlotOf(100), claims.controlSlotOf(6000)]
  const target = [4, [B!, [100, 100]]] as const
  expect(claims.update(answers({ a: [1, [A!]], b: target, c: [3, [C!]] }))).toBe(false)
  expect(claims.controlSlotOf(100)).toBe(old)
  const rest = [
    [0, 99],
    [101, 5460],
  ] as const
  expect(claims.update(answers({ a: [1, rest], b: target, c: [3, [C!]] }))).toBe(true)
  expect(claims.controlSlotOf(100)).toBe(next)
  expect(claims.controlSlotOf(99)).toBe(old)
})

it('a node that has just started gives such a slot to the old server, too', () => {
  const claims = new SlotClaims()
  claims.update(answers({ a: [1, [A!]], b: [4, [B!, [100, 100]]] }))
  expect(claims.controlSlotOf(100)).toBe(claims.controlSlotOf(0))
})

it('a slot that no server owns for a moment belongs to no order', () => {
  const claims = known()
  const rest = [
    [0, 99],
    [101, 5460],
  ] as const
  claims.update(answers({ a: [1, rest], b: [2, [B!]], c: [3, [C!]] }))
  expect(claims.controlSlotOf(100)).toBeNull()
})

it('while a server does not answer, its order stays; its replica continues the order', () => {
  const claims = known()
  const before = claims.controlSlotOf(0)
  expect(claims.update(answers({ b: [2, [B!]], c: [3, [C!]] }))).toBe(false)
  expect(claims.controlSlotOf(0)).toBe(before)
  const promoted = answers({ b: [2, [B!]], c: [3, [C!]], replica: [4, [A!]] })
  expect(claims.update(promoted)).toBe(false)
  // The old master is back, as a replica.
  expect(claims.update(new Map([...promoted, ['a', { epoch: 4, ranges: [] }]]))).toBe(false)
  expect(claims.controlSlotOf(0)).toBe(before)
})

it('if a server does not answer, a slot of it that another one owns belongs to that one', () => {
  const claims = known()
  claims.update(answers({ b: [4, [B!, [100, 100]]], c: [3, [C!]] }))
  expect(claims.controlSlotOf(100)).toBe(claims.controlSlotOf(6000))
})

it.each([
  ['from the last server to the first', 'c', 'a'],
  ['from the first server to the last', 'a', 'c'],
  ['from the second server to the first', 'b', 'a'],
  ['from the second server to the last', 'b', 'c'],
])('the lowest 150 slots move %s: no other slot changes its order', (_, from, to) => {
  const claims = known()
  const ranges: Record<string, Ranges> = { a: [A!], b: [B!], c: [C!] }
  const before = Array.from({ length: 16_384 }, (_slot, slot) => claims.controlSlotOf(slot))
  const [first, last] = ranges[from]![0]!
  const changed: Record<string, readonly [number, Ranges]> = { a: [1, [A!]], b: [2, [B!]], c: [3, [C!]] }
  changed[from] = [1, [[first + 150, last]]]
  changed[to] = [4, [...ranges[to]!, [first, first + 149]]]
  claims.update(answers(changed))
  const others = before.filter((control, slot) => claims.controlSlotOf(slot) !== control)
  expect(others).toHaveLength(150)
})

it('no answer at all changes nothing', () => {
  const claims = known()
  expect(claims.update(new Map())).toBe(false)
  expect(claims.controlSlots.size).toBe(3)
})
