import { afterAll, onTestFinished } from 'vitest'

type Ending = { stop(): unknown } | { close(): unknown }

/**
 * Closes a resource at the end of the test. At the top of a file or a `describe`, closes it at the end of that:
 * `const redis = tidy(await startRedis())`.
 */
export function tidy<T extends Ending>(thing: T): T {
  const end = async () => {
    await ('close' in thing ? thing.close() : thing.stop())
  }
  if (insideTest()) onTestFinished(end)
  else afterAll(end)
  return thing
}

function insideTest(): boolean {
  try {
    onTestFinished(() => {})
    return true
  } catch {
    return false
  }
}
