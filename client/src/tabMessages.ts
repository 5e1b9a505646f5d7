import type { ServerMessage, Subscribe, Unsubscribe } from '@broadcaster/protocol'
import { BroadcasterError } from './errors.ts'
import type { TransportName } from './types.ts'

/** The version of the messages between tabs. Tabs with other versions of this package do not share (see `groupOf`). */
export const TABS_VERSION = 1

/** From a tab to the leader. `from`: the random name of the tab. */
export type FromTab =
  /** It is here. The leader answers with its state. `marks`: how far the tab is in each channel. */
  | {
      readonly type: 'hello'
      readonly from: string
      readonly marks: Readonly<Record<string, string>>
      /** The user has returned to the tab, so the leader checks its connection. */
      readonly isAwake: boolean
    }
  | {
      readonly type: 'request'
      readonly from: string
      readonly term: number
      readonly request: Subscribe | Unsubscribe
    }
  | { readonly type: 'bye'; readonly from: string }

/** From the leader to all tabs, or to one. `term`: names the leader. That of the next leader is always higher. */
export type FromLeader = { readonly term: number } & (
  | { readonly type: 'connecting' }
  /** `connection`: counts the connections of this leader. With each one, the tabs subscribe again, from their marks. */
  | { readonly type: 'connected'; readonly connection: number; readonly transport: TransportName }
  | {
      readonly type: 'trouble'
      readonly failure: Failure
      readonly attempt: number
      readonly retryInMs: number
    }
  | { readonly type: 'message'; readonly to?: string; readonly message: ServerMessage }
  /** The connection has ended for all tabs. */
  | { readonly type: 'end'; readonly failure: Failure }
)

/** An error between tabs. A copy of an `Error` would lose its class and its code. */
export type Failure = Pick<BroadcasterError, 'code' | 'message' | 'retryAfterMs'>

export function toFailure({ code, message, retryAfterMs }: BroadcasterError): Failure {
  return { code, message, ...(retryAfterMs !== undefined && { retryAfterMs }) }
}

export function toError({ code, message, retryAfterMs }: Failure): BroadcasterError {
  return new BroadcasterError(code, message, undefined, retryAfterMs)
}

/**
 * How far a tab is in a channel. Positions of the server are opaque and can't be compared, so leaders number the messages. Numbers of
 * one era can be compared, also those of different leaders: each leader continues where a tab was, and the server's replay is
 * complete. A gap starts a new era.
 */
export interface Mark {
  readonly era: string
  readonly number: number
  /** The position of the server. Empty if the server has no positions. */
  readonly position: string
}

/** Tabs use marks as the positions of the protocol. */
export function writeMark({ era, number, position }: Mark): string {
  return `${era} ${number} ${position}`
}

export function readMark(text: string): Mark {
  const [era = '', number, ...position] = text.split(' ')
  return { era, number: Number(number), position: position.join(' ') }
}
