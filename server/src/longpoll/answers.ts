import { reasons, type ServerMessage } from '@broadcaster/protocol'
import { withoutInput, type Refusal } from '../clients/refusals.ts'

/** What a request is answered with: a status, and the JSON text of an array of messages. */
export interface Answer {
  readonly status: number
  readonly body: string
  /** Of a session that this answer has opened. */
  readonly token?: string
  /** What the client did not get. */
  readonly refusal?: Refusal
}

export function answer(status: number, ...messages: readonly ServerMessage[]): Answer {
  return { status, body: JSON.stringify(messages) }
}

export function empty(): Answer {
  return { status: 200, body: '[]' }
}

/**
 * A client of the base that has sent a poll again may get the answer of either: were one of them `[]`, it would go on to the
 * next `seq`, and thereby say that it has got what the other one brought.
 */
export function repeated(): Answer {
  return answer(503, { __type: 'serverError', reason: reasons.pollRepeated })
}

/** For a node that takes no more. */
export function nodeUnavailable(): Answer {
  return answer(503, { __type: 'serverError', reason: reasons.nodeUnavailable })
}

/**
 * For a client of the base that has missed messages, which can't be told. It authenticates anew and subscribes again. Not
 * 401: to clients of the original that is a refusal of their credentials, after which they do not come back.
 */
export function missed(): Answer {
  return answer(503, { __type: 'serverError', reason: reasons.messagesMissed })
}

/** No session, or none any more. */
export function expired(): Answer {
  return answer(401, { __type: 'authError', reason: reasons.authExpected })
}

/** Not a message at all. */
export function badBody(reason: string): Answer {
  return { ...expired(), refusal: { kind: 'frame', reason: withoutInput(reason) } }
}

/** The client does not get in. */
export function authRefused(reason: string = reasons.unauthorized): Answer {
  return { ...answer(401, { __type: 'authError', reason }), refusal: { kind: 'auth', reason } }
}

/** No such channel for this client. */
export function channelRefused(channel: string, reason: string = reasons.channelRefused): Answer {
  const reply = answer(200, { __type: 'subscribeError', channel, reason })
  return { ...reply, refusal: { kind: 'channel', reason, channel } }
}

/** The client has sent too many requests. */
export function tooManyRequests(): Answer {
  return answer(429, { __type: 'serverError', reason: reasons.tooManyRequests })
}

/** More new channels than the client may ask for in this time. */
export function tooFast(channel: string): Answer {
  return answer(503, { __type: 'serverError', channel, reason: reasons.tooManyNewChannels })
}

/** The channel was taken away while the request for it was under way: whoever still wants it asks again. */
export function overtaken(channel: string): Answer {
  return answer(503, { __type: 'serverError', channel, reason: reasons.overtaken })
}
