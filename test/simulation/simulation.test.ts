import { afterAll, describe, expect, it } from 'vitest'
import { inFull } from '../support/extent.ts'
import { seeded } from './profiles.ts'
import { simulate } from './simulate.ts'
import { Counts } from './world.ts'

/** Run only this seed, and print its trace. */
const onlySeed = process.env['SIM_SEED']
/** The number of seeds, of all profiles together. */
const seedCount = Number(process.env['SIM_SEEDS'] ?? inFull(2000, 42))
/** The first seed of each profile, counted from 0. Another one gives other runs. */
const firstSeed = Number(process.env['SIM_FIRST'] ?? 0)

const LONG_MS = 3_600_000

const explain = (seed: number): string =>
  `See what happened: SIM_SEED=${seed} npx vitest run --root test simulation/simulation.test.ts`

if (onlySeed !== undefined) {
  describe(`the guarantee, in seed ${onlySeed}`, () => {
    it('is kept', { timeout: LONG_MS }, async () => {
      const { profile, failure, trace } = await simulate(Number(onlySeed), { traced: true })
      console.log(`${trace}\n\nSeed ${onlySeed}, ${profile}: ${failure ?? 'the guarantee is kept'}`)
      expect(failure).toBeNull()
    })
  })
} else {
  describe('a subscribed client gets every message of its channel, once, in order, or is told of a gap', () => {
    const totals = new Counts()
    let seeds = 0

    for (const { profile, seed: seedOf } of seeded) {
      const also = profile.isCovered ? ', and no client is told of a gap' : ''
      it(`${profile.name}${also}`, { timeout: LONG_MS }, async () => {
        // A run with several brokers costs as much as some others: each broker has connections of its own.
        const share = profile.brokers === undefined ? 1 : 1 / 4
        const count = Math.ceil((seedCount / seeded.length) * share)
        for (let i = 0; i < count; i++) {
          const seed = seedOf(firstSeed + i)
          const { failure, counts } = await simulate(seed)
          expect(failure, explain(seed)).toBeNull()
          totals.addAll(counts)
          seeds += 1
        }
      })
    }

    afterAll(() => {
      const lines = [...totals.values].map(([what, count]) => `${String(count).padStart(9)} ${what}`)
      console.log([`${String(seeds).padStart(9)} seeds`, ...lines.sort(byName)].join('\n'))
    })
  })

  describe('a seed', () => {
    const names = inFull(['everything', 'copies and everything', 'brokers and everything'], ['everything'])
    const broadest = seeded.filter(({ profile }) => names.includes(profile.name))
    it.each(broadest.map(({ profile, seed }) => [profile.name, seed(0)] as const))(
      'gives the same trace every time: %s',
      { timeout: LONG_MS },
      async (_name, seed) => {
        const first = await simulate(seed, { traced: true })
        const second = await simulate(seed, { traced: true })
        expect(first.trace.length).toBeGreaterThan(1000)
        expect(second.trace).toBe(first.trace)
      },
    )
  })
}

function byName(a: string, b: string): number {
  return a.slice(10).localeCompare(b.slice(10))
}
