import type { Request, RequestHandler } from 'express'
import session from 'express-session'
import { beforeEach, describe, expect, it } from 'vitest'
import { connect } from '../support/connect.ts'
import { LongPollPeer, post } from '../support/longPollPeer.ts'
import { channelName } from '../support/names.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { transports } from '../support/subject.ts'
import { tidy } from '../support/tidy.ts'
import { refusedHandshake, WebSocketPeer } from '../support/webSocketPeer.ts'
import { sleep } from '../support/waiting.ts'

declare module 'express-session' {
  interface SessionData {
    user: string
  }
}

describe("the application's own middleware", () => {
  describe.each(transports)('over %s', (transport) => {
    let seen: Request[]
    let server: TestServer
    let cookie: string

    beforeEach(async () => {
      seen = []
      server = tidy(
        await startServer(
          {
            canConnect: (_, req) => {
              seen.push(req)
              return req.session.user !== undefined && { user: req.session.user }
            },
            canSubscribe: (_, channel, context) => channel.startsWith(context.user),
          },
          {
            before: (app) => {
              app.use(session({ secret: 'keyboard cat', resave: false, saveUninitialized: false }))
              // A slow session store.
              app.use((_req, _res, next) => void sleep(200).then(() => next()))
              app.post('/login/:user', (req, res) => {
                req.session.user = req.params.user
                res.sendStatus(204)
              })
            },
          },
        ),
      )
      const login = await fetch(`${server.origin}/login/alice`, { method: 'POST' })
      cookie = login.headers.get('set-cookie')!.split(';')[0]!
    })

    it('runs before canConnect, which finds the user in the session', async () => {
      const alice = await connect(server, { transport, headers: { Cookie: cookie } })
      expect(await alice.auth()).toMatchObject({ __type: 'authOk' })
      const own = channelName('alice')
      expect(await alice.subscribe(own)).toMatchObject({ __type: 'subscribeOk' })
      expect(await alice.subscribe(channelName('bob'))).toMatchObject({ __type: 'subscribeError' })
      await server.publish(own, 'hello alice')
      expect(await alice.next()).toMatchObject({ body: 'hello alice' })
    })

    it('does not change the request of Express that canConnect gets', async () => {
      const alice = await connect(server, { transport, headers: { Cookie: cookie, 'X-Custom': 'yes' } })
      await alice.auth({ any: 'thing' })
      const [req] = seen
      expect(req!.get('x-custom')).toBe('yes')
      expect(req!.baseUrl).toBe('/broadcast')
      expect(req!.session.user).toBe('alice')
      expect(req!.ip).toMatch(/127\.0\.0\.1/)
      expect(req!.app).toBeTypeOf('function')
    })

    it('lets canConnect refuse a client without a session', async () => {
      const mallory = await connect(server, { transport })
      expect(await mallory.auth({ user: 'alice' })).toMatchObject({ __type: 'authError' })
    })
  })

  const guarded = (guard: RequestHandler) =>
    startServer({}, { before: (app) => app.use('/broadcast', guard) })

  it.each([401, 403, 429, 503])(
    'W10: refuses a WebSocket with a real %i, before the handshake',
    async (status) => {
      const server = tidy(
        await guarded((_req, res) => void res.status(status).set('X-Why', 'no').send(`no: ${status}`)),
      )
      const refusal = await refusedHandshake(server)
      expect(refusal).toMatchObject({ status, body: `no: ${status}`, headers: { 'x-why': 'no' } })
      expect((await post(server.url, { __type: 'auth' })).status).toBe(status)
    },
  )

  it('W10: refuses a WebSocket when a middleware fails', async () => {
    for (const guard of [
      ((_req, _res, next) => next(Object.assign(new Error('no'), { status: 418 }))) satisfies RequestHandler,
      (async () => {
        throw Object.assign(new Error('no'), { status: 418, expose: false })
      }) satisfies RequestHandler,
    ]) {
      const server = tidy(await guarded(guard))
      server.app.set('env', 'test')
      expect((await refusedHandshake(server)).status).toBe(418)
    }
  })

  it('loses no frame that a WebSocket client sends while it or canConnect is running', async () => {
    const channel = channelName()
    const server = tidy(
      await startServer(
        { canConnect: () => sleep(200).then(() => true) },
        { before: (app) => app.use((_req, _res, next) => void sleep(200).then(() => next())) },
      ),
    )
    const alice = await WebSocketPeer.connect(server)
    await alice.send({ __type: 'auth' })
    await alice.send({ __type: 'subscribe', channel })
    expect(await alice.next()).toEqual({ __type: 'authOk' })
    expect(await alice.next()).toEqual({ __type: 'subscribeOk', channel })
  })

  it('can accept some clients and refuse others', async () => {
    const server = tidy(
      await guarded((req, res, next) => {
        if (req.get('authorization') === 'Bearer good') next()
        else res.sendStatus(401)
      }),
    )
    expect((await refusedHandshake(server, { headers: { Authorization: 'Bearer bad' } })).status).toBe(401)
    const alice = await WebSocketPeer.connect(server, { headers: { Authorization: 'Bearer good' } })
    expect(await alice.auth()).toEqual({ __type: 'authOk' })
  })

  it('can parse the body', async () => {
    const { json, text } = await import('express')
    for (const parser of [json(), text({ type: '*/*' })]) {
      const server = tidy(await startServer({}, { before: (app) => app.use(parser) }))
      const channel = channelName()
      const alice = new LongPollPeer(server, { 'Content-Type': 'application/json' })
      expect(await alice.auth({ user: 'alice' })).toMatchObject({ __type: 'authOk' })
      await alice.subscribe(channel)
      await server.publish(channel, 'hello')
      expect(await alice.next()).toMatchObject({ body: 'hello' })
    }
  })

  it('runs once for each WebSocket and each request', async () => {
    let runs = 0
    const server = tidy(
      await guarded((_req, _res, next) => {
        runs++
        next()
      }),
    )
    await (await WebSocketPeer.connect(server)).auth()
    expect(runs).toBe(1)
    await new LongPollPeer(server).auth()
    expect(runs).toBe(2)
  })
})
