import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bundle, type Simulation } from './bundle.ts'
import { mutations, type Mutation } from './mutations.ts'
import { profiles } from './profiles.ts'

/** The simulation has to catch a mutation within this number of seeds. */
const MOST_SEEDS = 400
const LONG_MS = 3_600_000

describe('the simulation notices when', () => {
  let unchanged: Simulation
  /** Seeds in which the unchanged code kept the guarantee. */
  const kept = new Set<number>()
  const lines: string[] = []

  beforeAll(async () => {
    unchanged = await bundle()
  }, LONG_MS)

  it.each(mutations.map((mutation) => [mutation.name, mutation] as const))(
    '%s',
    { timeout: LONG_MS },
    async (name, mutation) => {
      const mutant = await bundle(mutation)
      const seeds = seedsFor(mutation)
      let failure: string | null = null
      let tried = 0
      while (failure === null && tried < MOST_SEEDS)
        failure = (await mutant.simulate(seeds[tried++]!)).failure
      expect(failure, `not caught in ${tried} seeds`).not.toBeNull()
      lines.push(`${String(tried).padStart(4)} seeds: ${name}\n            ${failure}`)

      for (const seed of seeds.slice(0, tried)) {
        if (kept.has(seed)) continue
        expect((await unchanged.simulate(seed)).failure, `seed ${seed}, without any mutation`).toBeNull()
        kept.add(seed)
      }
    },
  )

  afterAll(() => console.log(`Caught after\n${lines.join('\n')}`))
})

/** The seeds of all profiles in turn, or only those of the mutation's profile. */
function seedsFor({ profile }: Mutation): number[] {
  const index = profiles.findIndex(({ name }) => name === profile)
  return Array.from({ length: MOST_SEEDS }, (_, i) => (index === -1 ? i : index + i * profiles.length))
}
