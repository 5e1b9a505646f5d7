import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** Parts of the paths of the slowest files. If these files started last, they would run alone at the end. */
const slow = [
  'simulation/',
  'chaos/',
  'soak/',
  'abuse/',
  'conformance/',
  'cluster/',
  'server/redis',
  'recovery/copies',
  'interop/',
  'recovery/',
]

/** Starts with the files that are known to be slow. A fresh clone has no times of an earlier run. */
export class SlowFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => {
      const index = slow.findIndex((part) => moduleId.includes(`/test/${part}`))
      return index === -1 ? slow.length : index
    }
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b))
  }
}
