import type { Address } from '../clients/addresses.ts'

/** The wire under a connection. */
export interface Link {
  /** Whether the client takes compressed frames. */
  readonly isCompressing: boolean
  /** Where the client is, as far as it is known. */
  readonly address: Address | null
  write(frames: Buffer): void
  /** Bytes that were written and have not left the process. */
  readonly bufferedBytes: number
  /** Bytes that have left the process. */
  readonly sentBytes: number
  /** Calls back once, when all of that has left. One callback at a time: those that come meanwhile are dropped. */
  onDrained(callback: () => void): void
  /** Reads nothing more from the client, up to {@link resume}; what has left the network already may still come. */
  pause(): void
  resume(): void
  close(code: number, reason: string): void
  /** Ends the connection at once, whatever the client does. */
  terminate(): void
}
