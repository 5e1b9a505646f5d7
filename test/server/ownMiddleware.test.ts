import type { AddressInfo } from 'node:net'
import { broadcaster, type Broadcaster, type BroadcasterOptions } from '@broadcaster/server'
import express, { type ErrorRequestHandler, type Express } from 'express'
import express4 from 'express4'
import { describe, expect, it } from 'vitest'
import { signIn } from '../support/connect.ts'
import { post } from '../support/longPollPeer.ts'
import { channelName } from '../support/names.ts'
import { closeServer } from '../support/server.ts'
import { transports, type Subject } from '../support/subject.ts'
import { tidy } from '../support/tidy.ts'
import { refusedHandshake, WebSocketPeer } from '../support/webSocketPeer.ts'

type Started = {
  readonly live: Broadcaster
  readonly app: Express
  readonly subject: Subject
  origin: string
}

async function start(
  options: BroadcasterOptions = {},
  framework = express,
  mount = (app: Express, live: Broadcaster): unknown => app.use('/broadcast', live),
): Promise<Started> {
  const live = tidy(broadcaster({ redis: false, pollTime: 50, ...options }))
  const app = framework()
  mount(app, live)
  const server = app.listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  tidy({ close: () => closeServer(server) })
  await live.ready()
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const url = `${origin}/broadcast`
  return { live, app, origin, subject: { url, publish: (...args) => live.publish(...args) } }
}

describe.each([
  ['Express 5', express],
  ['Express 4', express4 as unknown as typeof express],
])('what is added to a broadcaster itself, inside %s', (_, framework) => {
  it.each(transports)('runs before canConnect, over %s', async (transport) => {
    const seen: unknown[] = []
    const { live, subject } = await start(
      { canConnect: (_auth, req) => seen.push((req as { user?: string }).user) > 0 },
      framework,
    )
    live.use((req, _res, next) => {
      Object.assign(req, { user: 'alice' })
      next()
    })
    const alice = await signIn(subject, { transport })
    expect(seen).toEqual(['alice'])
    const channel = channelName()
    await alice.subscribe(channel)
    await live.publish(channel, 'hello')
    expect(await alice.next()).toMatchObject({ body: 'hello' })
  })

  it.each([401, 429])('can refuse with %i, before the handshake', async (status) => {
    const { live, subject } = await start({}, framework)
    live.use((_req, res) => void res.sendStatus(status))
    expect((await refusedHandshake(subject)).status).toBe(status)
    expect((await post(subject.url, { __type: 'auth' })).status).toBe(status)
  })

  it('can be routes of every kind', async () => {
    const { live, origin, subject } = await start({}, framework)
    live.param('id', (req, _res, next, id: string) => {
      Object.assign(req, { id: `<${id}>` })
      next()
    })
    live.get('/rooms/:id', (req, res) => void res.send((req as unknown as { id: string }).id))
    live.post('/hook', express.json(), (req, res) => void res.json(req.body))
    live.all('/any', (_req, res) => void res.send('any'))
    live.route('/route').get((_req, res) => void res.send('route'))
    live.use(
      '/router',
      framework.Router().get('/deep', (_req, res) => void res.send('deep')),
    )
    const read = async (path: string, init?: RequestInit) =>
      (await fetch(`${origin}/broadcast${path}`, init)).text()
    expect(await read('/rooms/5')).toBe('<5>')
    const json = { method: 'POST', body: '{"a":1}', headers: { 'Content-Type': 'application/json' } }
    expect(await read('/hook', json)).toBe('{"a":1}')
    expect(await read('/any')).toBe('any')
    expect(await read('/route')).toBe('route')
    expect(await read('/router/deep')).toBe('deep')
    expect(await read('/health')).toBe('{"status":"ok"}')
    expect((await fetch(`${origin}/broadcast/nowhere`)).status).toBe(404)
    for (const transport of transports) await signIn(subject, { transport })
  })

  it('can read the body', async () => {
    const { live, subject } = await start({}, framework)
    live.use(express.json({ type: () => true }))
    for (const transport of transports) await signIn(subject, { transport })
  })

  it('can handle errors, also those of earlier middleware', async () => {
    const { live, subject } = await start({}, framework)
    const handle: ErrorRequestHandler = (error: Error, _req, res, _next) =>
      void res.status(418).send(error.message)
    live.use(handle)
    live.use((req, _res, next) => next(req.headers['x-bad'] === undefined ? undefined : new Error('no tea')))
    const headers = { 'X-Bad': 'yes' }
    expect(await post(subject.url, { __type: 'auth' }, { headers })).toMatchObject({
      status: 418,
      text: 'no tea',
    })
    expect(await refusedHandshake(subject, { headers })).toMatchObject({ status: 418, body: 'no tea' })
    for (const transport of transports) await signIn(subject, { transport })
  })

  it("can have its own 'trust proxy' setting", async () => {
    const { live, subject } = await start({ limits: { connectionsPerAddress: 1 } }, framework)
    live.set('trust proxy', true)
    for (const address of ['192.0.2.1', '192.0.2.2']) {
      const headers = { 'X-Forwarded-For': address }
      await WebSocketPeer.connect(subject, { headers })
      expect((await refusedHandshake(subject, { headers })).status).toBe(429)
    }
  })

  it('runs if the broadcaster is not mounted in another application', async () => {
    const live = tidy(broadcaster({ redis: false, canConnect: (_auth, req) => 'user' in req }))
    live.use((req, _res, next) => {
      Object.assign(req, { user: 'alice' })
      next()
    })
    const server = live.listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    tidy({ close: () => closeServer(server) })
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
    for (const transport of transports) {
      await signIn({ url, publish: (...args) => live.publish(...args) }, { transport })
    }
  })
})
