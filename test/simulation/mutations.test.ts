import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bundle, type Simulation } from './bundle.ts'
import { mutations, type Mutation } from './mutations.ts'
import { profiles } from './profiles.ts'

/** The simulation has to catch a mutation within this number of seeds. */
const MOST_SEEDS = 400
const LONG_MS = 3_600_000

describe('the simulation notices when', () => {
  let unchanged: Simulation
  /** Seeds in which the unchanged code keeps the guarantee. */
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
      let caught: { readonly seed: number; readonly failure: string } | null = null
      let tried = 0
      while (caught === null && tried < MOST_SEEDS) {
        const seed = seeds[tried++]!
        const { failure } = await mutant.simulate(seed)
        if (failure !== null) caught = { seed, failure }
      }
      if (caught === null) expect.unreachable(`not caught in ${tried} seeds`)
      const { seed, failure } = caught
      lines.push(
        `${String(tried).padStart(4)} ${tried === 1 ? 'seed' : 'seeds'}, last ${seed}: ${name}\n            ${failure}`,
      )

      if (kept.has(seed)) return
      expect((await unchanged.simulate(seed)).failure, `seed ${seed}, without any mutation`).toBeNull()
      kept.add(seed)
    },
  )

  afterAll(() => console.log(`Caught after\n${lines.join('\n')}`))
})

/** The seed of the mutation, then the others of its profile. Without one: the seeds of all profiles in turn. */
function seedsFor({ seed }: Mutation): number[] {
  if (seed === undefined) return Array.from({ length: MOST_SEEDS }, (_, i) => i)
  const ofProfile = Array.from(
    { length: MOST_SEEDS },
    (_, i) => (seed % profiles.length) + i * profiles.length,
  )
  return [seed, ...ofProfile.filter((other) => other !== seed)]
}
