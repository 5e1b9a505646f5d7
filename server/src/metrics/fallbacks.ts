import { closeCodes, type FallbackReason } from '@broadcaster/protocol'

/** The codes with which implementations of WebSocket and proxies close (RFC 6455). */
const STANDARD = [1000, 1001, 1002, 1003, 1005, 1006, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 1015]
const CODES = new Set([...STANDARD, ...Object.values(closeCodes).map(({ code }) => code)])

const REASONS = ['error', 'timeout', 'silence', 'other'] as const

/** Every fallback that is counted, as `reason code`. Clients choose none of these texts: what is not known is `other`. */
export const FALLBACKS: readonly string[] = [
  ...REASONS.map((reason) => `${reason} none`),
  ...[...CODES, 'other'].map((code) => `error ${code}`),
]

export function fallbackKey({ reason, code }: FallbackReason): string {
  if (code === null) return `${reason} none`
  return `${reason} ${CODES.has(code) ? code : 'other'}`
}
