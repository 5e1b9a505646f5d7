/**
 * Calls `wake` when the network is back, or when the page is visible again after it was hidden or frozen. In that time
 * timers may not have run and connections may have died. Does nothing where there is no page.
 *
 * @returns a function that removes the listeners.
 */
export function listenForWakeUps(wake: (isOnline: boolean) => void): () => void {
  if (!globalThis.addEventListener) return () => {}
  const removal = new AbortController()
  const options = { signal: removal.signal }
  addEventListener('online', () => wake(true), options)
  // `pageshow` also happens when a page loads. Only a page from the back-forward cache (`persisted`) was away.
  addEventListener('pageshow', ({ persisted }) => persisted && wake(false), options)
  const page = globalThis.document
  page?.addEventListener('visibilitychange', () => page.hidden || wake(false), options)
  return () => removal.abort()
}
