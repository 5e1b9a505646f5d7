/** How long anything may take before a test gives up on it: generous, since a loaded machine is no failure. */
export const PATIENCE_MS = 15_000

/** The promise's value, or an error that names what did not come. */
export async function within<T>(promise: Promise<T>, what: string, ms = PATIENCE_MS): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`Waited ${ms} ms in vain for ${what}`)), ms)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

/**
 * Asks again and again until the answer is true (or any other truthy value, which is returned). For what tells
 * of itself by no event, such as another process.
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
    if (performance.now() > end) throw new Error(`Waited ${ms} ms in vain for ${what}`)
    await sleep(everyMs)
  }
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
