import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { inFull } from '../support/extent.ts'
import { bundle, type Simulation } from './bundle.ts'
import { mutations as all } from './mutations/all.ts'
import type { Mutation } from './mutations/mutation.ts'
import { profileOf, seeded } from './profiles.ts'

/** The simulation has to catch a mutation within this number of seeds. */
const MOST_SEEDS = 400
const LONG_MS = 3_600_000

/** Whether to write the seeds that catch the mutations into their files. */
const updatesSeeds = Boolean(process.env['UPDATE_SEEDS'])
const each = updatesSeeds ? 1 : inFull(1, 10)
const mutations = all.filter((_, index) => index % each === 0)

describe('the simulation notices when', () => {
  let unchanged: Simulation
  /** Seeds in which the unchanged code keeps the guarantee. */
  const kept = new Set<number>()
  const lines: string[] = []
  /** The seeds that caught a mutation, by its name. */
  const seeds = new Map<string, number>()

  beforeAll(async () => {
    unchanged = await bundle()
  }, LONG_MS)

  it.each(mutations.map((mutation) => [mutation.name, mutation] as const))(
    '%s',
    { timeout: LONG_MS },
    async (name, mutation) => {
      const mutant = await bundle(mutation)
      const order = seedsFor(mutation)
      let caught: { readonly seed: number; readonly failure: string } | null = null
      let tried = 0
      while (caught === null && tried < MOST_SEEDS) {
        const seed = order[tried++]!
        const { failure } = await mutant.simulate(seed)
        if (failure !== null) caught = { seed, failure }
      }
      if (caught === null) expect.unreachable(`not caught in ${tried} seeds`)
      const { seed, failure } = caught
      seeds.set(name, seed)
      lines.push(
        `${String(tried).padStart(4)} ${tried === 1 ? 'seed' : 'seeds'}, last ${seed}: ${name}\n            ${failure}`,
      )

      if (kept.has(seed)) return
      expect((await unchanged.simulate(seed)).failure, `seed ${seed}, without any mutation`).toBeNull()
      kept.add(seed)
    },
  )

  afterAll(async () => {
    console.log(`Caught after\n${lines.join('\n')}`)
    if (!updatesSeeds) return
    for (const file of await readdir(join(import.meta.dirname, 'mutations'))) await updateSeeds(file, seeds)
  })
})

/** The seed of the mutation, then the others of its profile. Without one: the seeds of all profiles in turn. */
function seedsFor({ seed }: Mutation): number[] {
  const each = Array.from({ length: MOST_SEEDS }, (_, i) => i)
  if (seed === undefined) {
    return each.map((i) => seeded[i % seeded.length]!.seed(Math.floor(i / seeded.length)))
  }
  const ofProfile = seeded.find(({ profile }) => profile === profileOf(seed))!
  return [seed, ...each.map(ofProfile.seed).filter((other) => other !== seed)]
}

/** Writes the seeds into a file with mutations. */
async function updateSeeds(file: string, seeds: ReadonlyMap<string, number>): Promise<void> {
  const path = join(import.meta.dirname, 'mutations', file)
  const blocks = (await readFile(path, 'utf8')).split(/(?<=^ {2}\},\n)/m)
  const updated = blocks.map((block) => {
    const name = mutations.find(({ name }) => block.includes(`name: '${name}'`))?.name
    const seed = name === undefined ? undefined : seeds.get(name)
    if (seed === undefined) return block
    return block.replace(/ {4}seed: .*\n/, '').replace(/ {2}\},\n$/, `    seed: ${seed},\n  },\n`)
  })
  await writeFile(path, updated.join(''))
}
