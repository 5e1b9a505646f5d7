/** Tells whether the client of a request has disconnected before the answer. Like `AbortSignal`, at a tenth of its cost. */
export interface Abort {
  readonly aborted: boolean
  onabort: ((...args: never[]) => void) | null
}

export class ClientAbort implements Abort {
  aborted = false
  onabort: (() => void) | null = null
  /** Whether the server has written the answer. */
  isAnswered = false

  /** The response is closed. Middleware with a timeout may have answered instead. */
  closed({ writableFinished }: { readonly writableFinished: boolean }): void {
    if (this.isAnswered && writableFinished) return
    this.aborted = true
    this.onabort?.()
  }
}
