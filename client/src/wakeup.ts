/**
 * Calls `wake` when the network is back, or when the page is visible again after it was hidden or frozen. In that time
 * timers may not have run and connections may have died. Does nothing where there is no page.
 *
 * @returns a function that removes the listeners.
 */
export function listenForWakeUps(wake: (isOnline: boolean) => void): () => void {
  if (typeof addEventListener !== 'function') return () => {}
  const page = typeof document === 'undefined' ? undefined : document
  const onOnline = () => wake(true)
  const onVisible = () => {
    if (page?.visibilityState === 'visible') wake(false)
  }
  // `pageshow` also happens when a page loads. Only a page from the back-forward cache (`persisted`) was away.
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
