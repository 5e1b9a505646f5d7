/** Whether the client of a request has gone before its answer: what is used of an AbortSignal, at a tenth of its price. */
export interface Departure {
  readonly aborted: boolean
  onabort: ((...args: never[]) => void) | null
}

export class ClientDeparture implements Departure {
  aborted = false
  onabort: (() => void) | null = null

  leave(): void {
    this.aborted = true
    this.onabort?.()
  }
}
