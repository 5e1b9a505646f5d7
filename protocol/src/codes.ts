/**
 * The close codes of the WebSocket transport: the one table, which PROTOCOL.md repeats and a test compares.
 * `retry` says whether a client connects again by itself.
 */
export const closeCodes = {
  /** 1001: the server or the page goes away. */
  goingAway: { code: 1001, reason: 'Going away', retry: true },
  /** 1009: the frame was larger than `limits.messageBytes`; sent by the WebSocket library itself. */
  tooLarge: { code: 1009, reason: '', retry: false },
  /** 1011: the server failed in a way that is not the client's fault. */
  serverError: { code: 1011, reason: 'Server error', retry: true },
  /** 1012: the node is being drained; another one has everything that this one had. */
  restart: { code: 1012, reason: 'Service restart', retry: true },
  /** 1013: the client has read nothing for too long, or more waits for it than the server can keep for all clients. */
  tryAgainLater: { code: 1013, reason: 'Try again later', retry: true },
  /** 4400: the frame was no JSON, or JSON that is not an object. The reason says what is wrong with it. */
  badMessage: { code: 4400, reason: 'Bad message', retry: false },
  /** 4401: follows `authError`, with the same reason. */
  unauthorized: { code: 4401, reason: 'Unauthorized', retry: false },
  /** 4403: `broadcaster.disconnect()` matched this client. */
  disconnected: { code: 4403, reason: 'Disconnected by the server', retry: false },
  /** 4408: no `auth` came within `limits.authTimeout`. */
  authTimeout: { code: 4408, reason: 'Auth timeout', retry: true },
  /** 4409: the same client has opened a newer connection. */
  replaced: { code: 4409, reason: 'Replaced by a newer connection', retry: false },
  /** 4410: messages were missed, and this client has no other way to learn of it. */
  gap: { code: 4410, reason: 'Messages were missed', retry: true },
  /** 4429: the client sent more than `limits.requestsPerSecond`. It waits at least a second before it comes back. */
  tooManyRequests: { code: 4429, reason: 'Too many requests', retry: true },
} as const satisfies Record<string, { code: number; reason: string; retry: boolean }>

export type CloseName = keyof typeof closeCodes

/** Whether a client that was closed with this code connects again. Codes not in the table: yes. */
export function shouldRetry(code: number): boolean {
  return Object.values(closeCodes).find((entry) => entry.code === code)?.retry ?? true
}

/** Cuts a close reason to the 123 bytes of UTF-8 that RFC 6455 5.5 leaves for it, between characters. */
export function cutReason(reason: string): string {
  let bytes = 0
  let cut = ''
  for (const character of reason) {
    const point = character.codePointAt(0)!
    bytes += point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4
    if (bytes > 123) break
    cut += character
  }
  return cut
}
