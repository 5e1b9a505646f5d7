import { expect } from 'vitest'
import { collect, connectLongPoll } from './scriptedServer.ts'
import type { ScriptedRequest, ScriptedServer } from './scriptedServer.ts'

export const message = (body: string, position?: string, channel = 'news') => ({
  __type: 'message',
  channel,
  body,
  ...(position && { position }),
})

/** A client that has subscribed news and received one message, at p1. Its next poll, which sends p1, is not answered. */
export async function subscribeNews(authOk: object = { __v: 1 }) {
  const connection = await connectLongPoll({}, authOk)
  const { server, client } = connection
  const news = collect()
  const subscription = client.subscribe('news', news)
  await server.confirm('news', '__v' in authOk ? { position: 'p0' } : {})
  await subscription.ready
  ;(await server.request('poll')).answer(message('first', '__v' in authOk ? 'p1' : undefined))
  expect(await news.next()).toBe('first')
  return { ...connection, news, subscription }
}

export async function pollOf(server: ScriptedServer, seq: string): Promise<ScriptedRequest> {
  const poll = await server.request('poll')
  expect(poll.message['seq']).toBe(seq)
  return poll
}
