import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** Files that take longest, in parts of their paths: begun last, they would be waited for with nothing else left to do. */
const slow = ['simulation/', 'chaos/', 'soak/', 'conformance/', 'server/redis', 'interop/', 'recovery/']

/** Begins with the files that are known to be slow; a fresh clone has no times of the last run to go by. */
export class SlowFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => {
      const index = slow.findIndex((part) => moduleId.includes(`/test/${part}`))
      return index === -1 ? slow.length : index
    }
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b))
  }
}
