import type { Gap } from '@broadcaster/client'

export type GapReason = Gap['reason']

/** One row of a channel's list. */
export type Line =
  | { readonly kind: 'message'; readonly id: number; readonly body: string; readonly at: number }
  | { readonly kind: 'gap'; readonly id: number; readonly reason: GapReason }

let count = 0

export function messageLine(body: unknown): Line {
  return { kind: 'message', id: count++, body: shown(body), at: Date.now() }
}

/** The channels of the other parts have bodies with a type. */
export function shown(body: unknown): string {
  return typeof body === 'string' ? body : JSON.stringify(body)
}

export function gapLine({ reason }: Gap): Line {
  return { kind: 'gap', id: count++, reason }
}
