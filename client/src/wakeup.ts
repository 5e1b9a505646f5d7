/**
 * Calls `wake` when the network is back, or when the page is seen again after it was hidden or frozen: timers may
 * have slept and connections may have died meanwhile. Does nothing where there is no page.
 *
 * @returns the function that ends it.
 */
export function listenForWakeUps(wake: (isOnline: boolean) => void): () => void {
  if (typeof addEventListener !== 'function') return () => {}
  const page = typeof document === 'undefined' ? undefined : document
  const onOnline = () => wake(true)
  const onVisible = () => {
    if (page?.visibilityState === 'visible') wake(false)
  }
  // Every page is shown once when it loads; only one from the back-forward cache has been away.
  const onShow = (event: Event) => {
    if ((event as PageTransitionEvent).persisted) wake(false)
  }
  addEventListener('online', onOnline)
  addEventListener('pageshow', onShow)
  page?.addEventListener('visibilitychange', onVisible)
  return () => {
    removeEventListener('online', onOnline)
    removeEventListener('pageshow', onShow)
    page?.removeEventListener('visibilitychange', onVisible)
  }
}
