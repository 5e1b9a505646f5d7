import compression from 'compression'
import type { RequestHandler } from 'express'
import session, { MemoryStore } from 'express-session'
import helmet from 'helmet'
import morgan from 'morgan'
import { expect, it } from 'vitest'
import { connect } from '../support/connect.ts'
import { channelName } from '../support/names.ts'
import { startServer } from '../support/server.ts'
import { tidy } from '../support/tidy.ts'

interface Message {
  readonly __type: string
  readonly __token?: string
  readonly body?: string
}

/** What most applications put before their routes. Each of these replaces methods of the response. */
const common: readonly (readonly [string, () => RequestHandler])[] = [
  ['compression()', () => compression()],
  ['compression() of every answer', () => compression({ threshold: 0 })],
  // It writes the session before the end of the answer.
  [
    'express-session, which saves each time',
    () =>
      session({
        secret: 'cat',
        resave: true,
        saveUninitialized: true,
        rolling: true,
        store: new MemoryStore(),
      }),
  ],
  ['helmet()', () => helmet()],
  ['morgan', () => morgan('tiny', { stream: { write: () => {} } })],
]

it.each([...common, ['all of them', null] as const])('polls and WebSockets pass %s', async (_, one) => {
  const handlers = one === null ? common.map(([, make]) => make()) : [one()]
  const server = tidy(
    await startServer(
      { pollTime: 0, canConnect: ({ user }) => user === 'alice' },
      { before: (app) => handlers.forEach((handler) => app.use(handler)) },
    ),
  )
  // `fetch` accepts gzip, and keeps the connection.
  const post = async (message: object): Promise<{ status: number; messages: Message[] }> => {
    const answer = await fetch(server.url, { method: 'POST', body: JSON.stringify(message) })
    expect(answer.headers.get('cache-control')).toBe('no-store')
    expect(answer.headers.get('content-type')).toBe('application/json; charset=utf-8')
    return { status: answer.status, messages: (await answer.json()) as Message[] }
  }
  expect(await post({ __type: 'auth', user: 'mallory' })).toMatchObject({ status: 401 })
  const { messages } = await post({ __type: 'auth', user: 'alice' })
  const __token = messages[0]!.__token
  const channel = channelName()
  await post({ __type: 'subscribe', channel, __token })
  const bodies = ['small', 'é'.repeat(5000), 'x'.repeat(200_000), 'last']
  for (const [index, body] of bodies.entries()) {
    const poll = post({ __type: 'poll', seq: String(index), __token })
    await server.publish(channel, body)
    expect((await poll).messages.map((message) => message.body)).toEqual([body])
  }
  const alice = await connect(server, { transport: 'websocket' })
  expect(await alice.auth({ user: 'alice' })).toMatchObject({ __type: 'authOk' })
  await alice.subscribe(channel)
  await server.publish(channel, 'hello')
  expect(await alice.next()).toMatchObject({ body: 'hello' })
})
