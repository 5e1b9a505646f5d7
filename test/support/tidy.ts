import { afterAll, onTestFinished } from 'vitest'

type Ending = { stop(): unknown } | { close(): unknown }

/**
 * Ends a thing with the test that made it or, when called at the top of a file or a `describe`, with that:
 * `const redis = tidy(await startRedis())`.
 */
export function tidy<T extends Ending>(thing: T): T {
  const end = async () => {
    await ('stop' in thing ? thing.stop() : thing.close())
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
