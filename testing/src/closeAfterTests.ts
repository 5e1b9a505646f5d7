const open = new Set<{ close(): Promise<void> }>()

/** What test runners define, or some of it. */
const runner = globalThis as {
  afterAll?: (hook: () => Promise<unknown>) => void
  expect?: { getState?(): { currentTestName?: string } }
}

// A client that was not closed has timers, and with them Jest would not exit. Vitest without globals ends its processes itself.
// Inside of a test, Jest allows no hooks.
if (typeof runner.afterAll === 'function' && runner.expect?.getState?.().currentTestName === undefined) {
  runner.afterAll(() => Promise.all([...open].map((broadcaster) => broadcaster.close())))
}

/** Closes the broadcaster after the last test of the file, if the tests do not. */
export function closeAfterTests<Closable extends { close(): Promise<void> }>(
  broadcaster: Closable,
): Closable {
  open.add(broadcaster)
  const { close } = broadcaster
  broadcaster.close = () => {
    open.delete(broadcaster)
    return close()
  }
  return broadcaster
}
