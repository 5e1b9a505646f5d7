import type { Address } from '../clients/addresses.ts'

/** The socket of a connection, as the connection sees it. */
export interface Link {
  /** Whether the client accepts compressed frames. */
  readonly isCompressing: boolean
  /** The address of the client; `null` if it is unknown. */
  readonly address: Address | null
  /** A string is in `latin1`. */
  write(frames: Buffer | string): void
  /** The number of bytes that were written and have not left the process. */
  readonly bufferedBytes: number
  /** The number of bytes that have left the process. */
  readonly sentBytes: number
  /**
   * Calls back once, when all written bytes have left the process. Never, if the connection ends before. A call while another one
   * waits is ignored.
   */
  onDrained(callback: () => void): void
  /** Stops reading from the client until {@link resume}. What was already read from the network may still come. */
  pause(): void
  resume(): void
  close(code: number, reason: string): void
  /** Ends the connection at once, without a close handshake. */
  terminate(): void
  /** Sends a ping, or ends the connection if the client has sent nothing since the last ping. */
  ping(): void
  /** Ends the connection if it was already closing at the last call. */
  endIfClosing(): void
}
