/** The time limit for everything that a test waits for. It is long, because a slow machine is not a failure. */
export const PATIENCE_MS = 60_000

/** Returns the value of the promise. On timeout, throws an error that names what the test waited for. */
export async function within<T>(promise: Promise<T>, what: string, ms = PATIENCE_MS): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`Timed out after ${ms} ms while waiting for ${what}`)), ms)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

/**
 * Calls the function repeatedly until it returns a truthy value, and returns that value. Use it where there is no event,
 * for instance for another process.
 */
export async function until<T>(
  what: string,
  ask: () => T | Promise<T>,
  { ms = PATIENCE_MS, everyMs = 20 } = {},
): Promise<T> {
  const end = performance.now() + ms
  for (;;) {
    const answer = await ask()
    if (answer) return answer
    if (performance.now() > end) throw new Error(`Timed out after ${ms} ms while waiting for ${what}`)
    await sleep(everyMs)
  }
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
