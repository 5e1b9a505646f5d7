import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

/** The used bytes of the heap after a garbage collection, plus the bytes of buffers, which are outside the heap. */
export async function usedBytes(): Promise<number> {
  // Objects that a promise, a timer or a finished write refers to are released in later turns of the event loop.
  for (let turn = 0; turn < 5; turn++) {
    collectGarbage()
    await new Promise((resolve) => setImmediate(resolve))
  }
  collectGarbage()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}
