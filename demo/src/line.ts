import type { Gap } from '@broadcaster/client'

export type GapReason = Gap['reason']

/** One row of a channel's list. */
export type Line =
  | { readonly kind: 'message'; readonly id: number; readonly body: string; readonly at: number }
  | { readonly kind: 'gap'; readonly id: number; readonly reason: GapReason }

let count = 0

export function messageLine(body: string): Line {
  return { kind: 'message', id: count++, body, at: Date.now() }
}

export function gapLine({ reason }: Gap): Line {
  return { kind: 'gap', id: count++, reason }
}
