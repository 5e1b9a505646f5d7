import type { Answer, LongPollPeer } from './longPollPeer.ts'
import { signIn } from './connect.ts'
import type { Subject } from './subject.ts'
import { WebSocketPeer } from './webSocketPeer.ts'

/**
 * Resolves when the server must have noticed earlier events on other connections, such as an abort. Since then it has
 * answered several requests, one after the other.
 */
export async function noticed(peer: LongPollPeer): Promise<void> {
  for (let trip = 0; trip < 5; trip++) await peer.post({ __type: 'ping' })
}

/** A poll that certainly waits on the server. The promise is in an object, so that `await` does not wait for the answer. */
export type WaitingPoll = { readonly answer: Promise<Answer>; abort(): void }

/**
 * A client can't see whether a poll has arrived. But a second poll ends the first one (L5). So when one of two polls is
 * answered, the other one waits.
 */
export async function waitingPoll(peer: LongPollPeer): Promise<WaitingPoll> {
  const polls = [1, 2].map(() => {
    const abort = new AbortController()
    return { answer: peer.poll({}, { signal: abort.signal }), abort: () => abort.abort() }
  })
  const ended = await Promise.race(polls.map(({ answer }, index) => answer.then(() => index)))
  const { messages } = await polls[ended]!.answer
  if (messages.length > 0)
    throw new Error(`Expected an empty answer to the poll, got: ${JSON.stringify(messages)}`)
  // The poll has arrived, and the server has had the time to look up its channels.
  await noticed(peer)
  const waiting = polls[1 - ended]!
  // A test that aborts the poll, or ends before it is answered, does not use the answer.
  waiting.answer.catch(() => {})
  return waiting
}

/**
 * Publishes, and resolves when the nodes have the messages. To check this, two WebSockets wait for the last message. They
 * are connected one after the other, so behind a round-robin proxy they are on two nodes. Use it for messages that must be
 * there *before* a poll arrives.
 */
export async function publishAndArrive(
  subject: Subject,
  channel: string,
  bodies: readonly string[],
): Promise<void> {
  const witnesses: WebSocketPeer[] = []
  for (let node = 0; node < 2; node++) {
    witnesses.push((await signIn(subject, { transport: 'websocket' })) as WebSocketPeer)
  }
  for (const witness of witnesses) await witness.subscribe(channel)
  for (const body of bodies) await subject.publish(channel, body)
  for (const witness of witnesses) await witness.take(bodies.length)
  for (const witness of witnesses) await witness.close()
}
