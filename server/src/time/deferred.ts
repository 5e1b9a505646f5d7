/** A promise, and the two ways to end it. */
export function deferred(): { promise: Promise<void>; resolve: () => void; reject: (error: Error) => void } {
  let resolve!: () => void
  let reject!: (error: Error) => void
  const promise = new Promise<void>((onResolve, onReject) => {
    resolve = onResolve
    reject = onReject
  })
  // It may be that nobody waits for it.
  promise.catch(() => {})
  return { promise, resolve, reject }
}
