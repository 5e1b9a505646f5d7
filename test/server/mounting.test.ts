import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { broadcaster, type Broadcaster } from '@broadcaster/server'
import express, { type Express } from 'express'
import express4 from 'express4'
import { describe, expect, it } from 'vitest'
import { signIn } from '../support/connect.ts'
import { collectLogs } from '../support/logs.ts'
import { post } from '../support/longPollPeer.ts'
import { channelName } from '../support/names.ts'
import { closeServer } from '../support/server.ts'
import { transports, type Subject, type Transport } from '../support/subject.ts'
import { tidy } from '../support/tidy.ts'
import { refusedHandshake } from '../support/webSocketPeer.ts'

/** Listens with a server that the test has created. */
async function listen(server: http.Server, ...live: Broadcaster[]): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  tidy({
    close: async () => {
      for (const one of live) await one.close()
      await closeServer(server)
    },
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** Listens with `app.listen`, as most applications do. */
async function listenApp(app: Express, ...live: Broadcaster[]): Promise<string> {
  const server = app.listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  tidy({
    close: async () => {
      for (const one of live) await one.close()
      await closeServer(server)
    },
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const subject = (live: Broadcaster, url: string): Subject => ({
  url,
  publish: (channel, body) => live.publish(channel, body),
})

async function works(at: Subject, transport: Transport): Promise<void> {
  const channel = channelName()
  const alice = await signIn(at, { transport })
  expect(await alice.subscribe(channel)).toEqual({ __type: 'subscribeOk', channel })
  await at.publish(channel, 'hello')
  expect(await alice.next()).toEqual({ __type: 'message', channel, body: 'hello' })
}

describe.each(transports)('mounting, over %s', (transport) => {
  const create = () => broadcaster({ redis: false, pollTime: 20, logger: collectLogs().logger })

  it.each([
    ['Express 5', express],
    ['Express 4', express4],
  ])('needs one line in %s', async (_, framework) => {
    const app = framework()
    const live = create()
    app.use('/broadcast', live)
    const origin = await listenApp(app, live)
    await works(subject(live, `${origin}/broadcast`), transport)
    await works(subject(live, `${origin}/broadcast/`), transport)
    await works(subject(live, `${origin}/broadcast?cache=1`), transport)
  })

  it('works at the root', async () => {
    const app = express()
    const live = create()
    app.use(live)
    await works(subject(live, `${await listenApp(app, live)}/`), transport)
  })

  it('works at a path with several segments', async () => {
    const app = express()
    const live = create()
    app.use('/api/v1/live', live)
    await works(subject(live, `${await listenApp(app, live)}/api/v1/live`), transport)
  })

  it('works in an application that is mounted in another', async () => {
    const [outer, inner, live] = [express(), express(), create()]
    inner.use('/broadcast', live)
    outer.use('/inner', inner)
    await works(subject(live, `${await listenApp(outer, live)}/inner/broadcast`), transport)
  })

  it('works in an application that is already mounted', async () => {
    const [outer, inner, live] = [express(), express(), create()]
    outer.use('/inner', inner)
    inner.use('/broadcast', live)
    await works(subject(live, `${await listenApp(outer, live)}/inner/broadcast`), transport)
  })

  it('works on a server of your own, with attach', async () => {
    const app = express()
    const live = create()
    app.use('/broadcast', live)
    const server = http.createServer(app)
    live.attach(server)
    await works(subject(live, `${await listen(server, live)}/broadcast`), transport)
  })

  it('works in a Router, with attach', async () => {
    const [app, router, live] = [express(), express.Router(), create()]
    router.use('/live', live)
    app.use('/api', router)
    const server = http.createServer(app)
    live.attach(server)
    await works(subject(live, `${await listen(server, live)}/api/live`), transport)
  })

  it('works if attach is called without need or twice', async () => {
    const app = express()
    const live = create()
    app.use('/broadcast', live)
    const server = app.listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    live.attach(server)
    live.attach(server)
    tidy({ close: () => live.close().then(() => closeServer(server)) })
    const { port } = server.address() as AddressInfo
    await works(subject(live, `http://127.0.0.1:${port}/broadcast`), transport)
  })

  it('separates two broadcasters of one application', async () => {
    const app = express()
    const news = broadcaster({ redis: false, pollTime: 20, canConnect: () => true })
    const chat = broadcaster({ redis: false, pollTime: 20, canConnect: (auth) => auth['member'] === true })
    app.use('/news', news)
    app.use('/chat', chat)
    const origin = await listenApp(app, news, chat)
    const channel = channelName()
    const alice = await signIn(subject(news, `${origin}/news`), { transport })
    const bob = await signIn(subject(chat, `${origin}/chat`), { transport, auth: { member: true } })
    await alice.subscribe(channel)
    await bob.subscribe(channel)
    await news.publish(channel, 'news')
    await chat.publish(channel, 'chat')
    expect(await alice.next()).toMatchObject({ body: 'news' })
    expect(await bob.next()).toMatchObject({ body: 'chat' })
    await alice.hearsNothing()
    await bob.hearsNothing()
  })

  it('serves several servers with one broadcaster', async () => {
    const app = express()
    const live = create()
    app.use('/broadcast', live)
    const first = await listenApp(app, live)
    const second = await listenApp(app, live)
    await works(subject(live, `${first}/broadcast`), transport)
    await works(subject(live, `${second}/broadcast`), transport)
  })
})

describe('a server that was not attached', () => {
  it('answers a WebSocket handshake with a hint, logs it once, and serves long-poll meanwhile', async () => {
    const { logger, loud } = collectLogs()
    const [app, router] = [express(), express.Router()]
    const live = broadcaster({ redis: false, pollTime: 20, logger })
    router.use('/live', live)
    app.use('/api', router)
    const origin = await listen(http.createServer(app), live)
    const at = subject(live, `${origin}/api/live`)

    for (let i = 0; i < 3; i++) {
      const { status, body } = await refusedHandshake(at)
      expect(status).toBeGreaterThanOrEqual(400)
      expect(body).toMatch(/attach/)
    }
    expect(loud('attach')).toHaveLength(1)
    await works(at, 'longpoll')
  })
})

describe('other paths', () => {
  it('are left to the application', async () => {
    const app = express()
    const live = broadcaster({ redis: false })
    app.use('/broadcast', live)
    app.get('/broadcasting', (_req, res) => void res.send('mine'))
    const origin = await listenApp(app, live)
    expect(await (await fetch(`${origin}/broadcasting`)).text()).toBe('mine')
    expect((await post(`${origin}/other`, { __type: 'auth' })).status).toBe(404)
  })
})
