import type { Answer, LongPollPeer } from './longPollPeer.ts'
import { signIn } from './connect.ts'
import type { Subject } from './subject.ts'
import { WebSocketPeer } from './webSocketPeer.ts'

/**
 * Resolves when the server must have noticed what happened on other connections before, such as an abort: it had to
 * answer several requests, one after the other, since then.
 */
export async function noticed(peer: LongPollPeer): Promise<void> {
  for (let trip = 0; trip < 5; trip++) await peer.post({ __type: 'ping' })
}

/** A poll that waits on the server, for certain. In an object, so that awaiting it does not await the answer. */
export type WaitingPoll = { readonly answer: Promise<Answer>; abort(): void }

/**
 * From outside one can't see whether a poll has arrived. But of two polls one ends the other (L5): once the one is
 * answered, the other waits.
 */
export async function waitingPoll(peer: LongPollPeer): Promise<WaitingPoll> {
  const polls = [1, 2].map(() => {
    const abort = new AbortController()
    return { answer: peer.poll({}, { signal: abort.signal }), abort: () => abort.abort() }
  })
  const ended = await Promise.race(polls.map(({ answer }, index) => answer.then(() => index)))
  const { messages } = await polls[ended]!.answer
  if (messages.length > 0) throw new Error(`The poll had something to say: ${JSON.stringify(messages)}`)
  // It has arrived, and has had the time to look up its channels too.
  await noticed(peer)
  const waiting = polls[1 - ended]!
  // A test that aborts it, or ends with it open, does not look at the answer.
  waiting.answer.catch(() => {})
  return waiting
}

/**
 * Publishes, and resolves when the nodes have the messages: two WebSockets connected one after the other, so behind a
 * round-robin proxy on two nodes, have heard the last one. For what must be there *before* a poll comes.
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
