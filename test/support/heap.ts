import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

/** Bytes of the heap that are in use, after a garbage collection; buffers, which are outside the heap, included. */
export async function usedBytes(): Promise<number> {
  // What a promise, a timer or a finished write still holds is let go in later turns of the event loop.
  for (let turn = 0; turn < 5; turn++) {
    collectGarbage()
    await new Promise((resolve) => setImmediate(resolve))
  }
  collectGarbage()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}
