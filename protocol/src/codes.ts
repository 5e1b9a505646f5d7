/**
 * The close codes of the WebSocket transport. A test compares this table with the one in PROTOCOL.md.
 * `retry`: whether a client reconnects by itself.
 */
export const closeCodes = {
  /** 1001: the server stops, or the page is left. */
  goingAway: { code: 1001, reason: 'Going away', retry: true },
  /** 1009: the frame was larger than `limits.messageBytes`. The WebSocket library itself sends this code. */
  tooLarge: { code: 1009, reason: '', retry: false },
  /** 1011: an error in the server that the client did not cause. */
  serverError: { code: 1011, reason: 'Server error', retry: true },
  /** 1012: the node is draining. Another node has all channels of this one. */
  restart: { code: 1012, reason: 'Service restart', retry: true },
  /** 1013: the client has read nothing for too long, or the server has no room left for what waits for its clients. */
  tryAgainLater: { code: 1013, reason: 'Try again later', retry: true },
  /** 4400: the frame was not JSON, or not a JSON object. The reason says what is wrong. */
  badMessage: { code: 4400, reason: 'Bad message', retry: false },
  /** 4401: sent after `authError`, with the same reason. */
  unauthorized: { code: 4401, reason: 'Unauthorized', retry: false },
  /** 4403: `broadcaster.disconnect()` matched this client. */
  disconnected: { code: 4403, reason: 'Disconnected by the server', retry: false },
  /** 4408: no `auth` arrived within `limits.authTimeout`. */
  authTimeout: { code: 4408, reason: 'Auth timeout', retry: true },
  /** 4409: the same client has opened a newer connection. */
  replaced: { code: 4409, reason: 'Replaced by a newer connection', retry: false },
  /** 4410: messages were missed, and the server has no other way to tell this client. */
  gap: { code: 4410, reason: 'Messages were missed', retry: true },
  /** 4411: the credentials have ended, or the server asks for them again. The client sends new ones at once. */
  reauthorize: { code: 4411, reason: 'Authorize again', retry: true },
  /** 4429: the client sent more than `limits.requestsPerSecond`. It waits at least one second before it reconnects. */
  tooManyRequests: { code: 4429, reason: 'Too many requests', retry: true },
} as const satisfies Record<string, { code: number; reason: string; retry: boolean }>

export type CloseName = keyof typeof closeCodes

/** Whether a client reconnects after a close with this code. For codes that are not in the table: yes. */
export function shouldRetry(code: number): boolean {
  return Object.values(closeCodes).find((entry) => entry.code === code)?.retry ?? true
}

/** Cuts a close reason, between characters, to at most 123 bytes of UTF-8 (RFC 6455 5.5). */
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
