import { commonVersion, parseClientMessage, type Auth } from '@broadcaster/protocol'
import { authExpected, missed, ok, unauthorized, type Answer } from './answers.ts'
import { channelExpected } from './serverClient.ts'
import { Session } from './session.ts'
import type { TestServer } from './testServer.ts'

/**
 * Handles a long-poll request.
 *
 * @param answer called once, with the answer. Returns a function to call if the client goes away before.
 */
export function longPoll(server: TestServer, text: string, answer: (answer: Answer) => void): () => void {
  const parsed = parseClientMessage(text)
  const session = parsed.kind === 'bad' ? undefined : server.session(parsed.token)
  const message = parsed.kind === 'message' ? parsed.message : null
  if (message?.__type === 'auth' && (!session || session.hasMissed)) {
    void authenticate(server, message).then(answer)
  } else if (!session) {
    answer(authExpected())
  } else if (session.hasMissed) {
    answer(missed())
  } else if (parsed.kind === 'noChannel') {
    answer(ok(channelExpected(parsed.type)))
  } else if (message?.__type === 'subscribe') {
    answer(ok(session.subscribe(message)))
  } else if (message?.__type === 'unsubscribe') {
    session.unsubscribe(message.channel)
    answer(ok({ __type: 'unsubscribeOk', channel: message.channel }))
  } else if (message?.__type === 'poll') {
    return session.poll(message, answer)
  } else {
    answer(ok({ __type: 'unknown' }))
  }
  return () => {}
}

async function authenticate(server: TestServer, auth: Auth): Promise<Answer> {
  const authenticated = await server.authenticate(auth)
  if ('refusal' in authenticated) return unauthorized(authenticated.refusal)
  const session = new Session(server, server.makeToken())
  session.version = commonVersion(auth.__v)
  server.join(session, auth, authenticated.endsAt)
  const authOk = { __type: 'authOk', __token: session.token } as const
  return ok(session.version === 0 ? authOk : { ...authOk, __v: session.version })
}
