import { reasons, type ServerMessage } from '@broadcaster/protocol'

/** The answer to a long-poll request. */
export interface Answer {
  readonly status: number
  readonly messages: readonly ServerMessage[]
}

export function ok(...messages: readonly ServerMessage[]): Answer {
  return { status: 200, messages }
}

/** The credentials are refused, or there is no session. */
export function unauthorized(reason: string): Answer {
  return { status: 401, messages: [{ __type: 'authError', reason }] }
}

export function authExpected(): Answer {
  return unauthorized(reasons.authExpected)
}

/** A poll of a client of the base was sent again, and the newer one waits. */
export function repeated(): Answer {
  return unavailable(reasons.pollRepeated)
}

/** A client of the base has missed messages. */
export function missed(): Answer {
  return unavailable(reasons.messagesMissed)
}

function unavailable(reason: string): Answer {
  return { status: 503, messages: [{ __type: 'serverError', reason }] }
}
