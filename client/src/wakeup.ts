/**
 * Calls `wake` when the network is back, or when the page is visible again after it was hidden or frozen. In that time
 * timers may not have run and connections may have died. Does nothing where there is no page.
 *
 * @returns a function that removes the listeners.
 */
export function listenForWakeUps(wake: (isOnline: boolean) => void): () => void {
  if (typeof addEventListener !== 'function') return () => {}
  const removal = new AbortController()
  const listener = ({ type, persisted }: Event & { readonly persisted?: boolean }) => {
    const isOnline = type === 'online'
    const isVisible = type === 'visibilitychange' && document.visibilityState === 'visible'
    // `pageshow` also happens when a page loads. Only a page from the back-forward cache (`persisted`) was away.
    if (isOnline || isVisible || persisted) wake(isOnline)
  }
  // The last one happens at the document, and bubbles.
  for (const type of ['online', 'pageshow', 'visibilitychange'])
    addEventListener(type, listener, { signal: removal.signal })
  return () => removal.abort()
}
