import { reasons, type ServerMessage } from '@broadcaster/protocol'
import { TOO_MANY_NEW_CHANNELS, withoutInput, type Refusal } from '../clients/refusals.ts'

/** The answer to a request: a status, and an array of messages as JSON text. */
export interface Answer {
  readonly status: number
  readonly body: string
  /** The length of the body in UTF-8, if it is known. */
  readonly bytes?: number
  /** The token of the session that was created. */
  readonly token?: string
  /** The refusal to be counted and logged, if the request was refused. */
  readonly refusal?: Refusal
}

export function answer(status: number, ...messages: readonly ServerMessage[]): Answer {
  return { status, body: JSON.stringify(messages) }
}

export function empty(): Answer {
  return { status: 200, body: '[]' }
}

/**
 * A client of the base that has sent a poll again may receive either of the two answers. With an empty answer it would continue
 * with the next `seq`, and thereby confirm the messages of the other answer, which it has not received.
 */
export function repeated(): Answer {
  return answer(503, { __type: 'serverError', reason: reasons.pollRepeated })
}

/** The client tries again, here or at another node. */
export function nodeUnavailable(): Answer {
  return answer(503, { __type: 'serverError', reason: reasons.nodeUnavailable })
}

/** The node has reached a limit. */
export function nodeFull(refusal: Refusal): Answer {
  return { ...nodeUnavailable(), refusal }
}

/**
 * A client of the base has missed messages, and can not be told of a gap. After this answer, it authenticates and subscribes
 * again. The status is not 401, because clients of the original treat that as a refusal of their credentials and stop.
 */
export function missed(): Answer {
  return answer(503, { __type: 'serverError', reason: reasons.messagesMissed })
}

/** There is no such session, or it has ended. */
export function expired(): Answer {
  return answer(401, { __type: 'authError', reason: reasons.authExpected })
}

/** The body is not a message. */
export function badBody(reason: string): Answer {
  return { ...expired(), refusal: { kind: 'frame', reason: withoutInput(reason) } }
}

/** The client is refused. */
export function authRefused(reason: string = reasons.unauthorized): Answer {
  return { ...answer(401, { __type: 'authError', reason }), refusal: { kind: 'auth', reason } }
}

/** The channel is refused to this client. */
export function channelRefused(channel: string, reason: string = reasons.channelRefused): Answer {
  const reply = answer(200, { __type: 'subscribeError', channel, reason })
  return { ...reply, refusal: { kind: 'channel', reason, channel } }
}

/** The client has sent too many requests. */
export function tooManyRequests(): Answer {
  return answer(429, { __type: 'serverError', reason: reasons.tooManyRequests })
}

/** The client would have to wait too long for its turn, see `limits.newChannelsPerSecond`. */
export function tooFast(channel: string): Answer {
  const reply = answer(503, { __type: 'serverError', channel, reason: reasons.tooManyNewChannels })
  return { ...reply, refusal: TOO_MANY_NEW_CHANNELS }
}

/** The channel was revoked while its subscribe was running. A client that still wants the channel subscribes again. */
export function overtaken(channel: string): Answer {
  return answer(503, { __type: 'serverError', channel, reason: reasons.overtaken })
}
