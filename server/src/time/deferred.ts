/** A promise together with the functions that resolve and reject it. */
export function deferred(): { promise: Promise<void>; resolve: () => void; reject: (error: Error) => void } {
  let resolve!: () => void
  let reject!: (error: Error) => void
  const promise = new Promise<void>((onResolve, onReject) => {
    resolve = onResolve
    reject = onReject
  })
  // Without this, a rejection that nobody waits for would be an unhandled rejection.
  promise.catch(() => {})
  return { promise, resolve, reject }
}
