import { broadcaster } from '@broadcaster/server'
import express, { type Express } from 'express'
import express4 from 'express4'
import http from 'node:http'
import { setFlagsFromString } from 'node:v8'
import { describe, expect, it } from 'vitest'
import { waitingPoll } from '../support/barriers.ts'
import { LongPollPeer, post } from '../support/longPollPeer.ts'
import { channelName } from '../support/names.ts'
import { listen } from '../support/server.ts'
import type { Subject } from '../support/subject.ts'
import { tidy } from '../support/tidy.ts'
import { signIn } from '../support/connect.ts'

type Seen = { readonly req: express.Request; readonly res: express.Response }

setFlagsFromString('--allow-natives-syntax')
const haveSameClass = new Function('one', 'other', 'return %HaveSameMap(one, other)') as (
  one: object,
  other: object,
) => boolean
setFlagsFromString('--no-allow-natives-syntax')

/** An application whose first middleware notes what it gets. */
async function start(framework: typeof express) {
  const app: Express = framework()
  const seen: Seen[] = []
  app.use((req, res, next) => {
    seen.push({ req, res })
    next()
  })
  const live = broadcaster({ redis: false, pollTime: 20 })
  app.use('/broadcast', live)
  const server = http.createServer(app)
  live.attach(server)
  const origin = await listen(server, live)
  const url = `${origin}/broadcast`
  const subject: Subject = { url, publish: (...args) => live.publish(...args) }
  return { app, server, seen, subject, origin }
}

async function session(subject: Subject, channel: string): Promise<LongPollPeer> {
  const peer = (await signIn(subject, { transport: 'longpoll', auth: { __v: 1 } })) as LongPollPeer
  await peer.subscribe(channel)
  return peer
}

describe.each([
  ['Express 5', express],
  ['Express 4', express4 as unknown as typeof express],
])('the requests and responses of a server with %s', (_, framework) => {
  it('have the same hidden class in all waiting polls and in all answered ones', async () => {
    const { subject, seen } = await start(framework)
    const channel = channelName()
    const peers = [await session(subject, channel), await session(subject, channel)]
    const polls: Awaited<ReturnType<typeof waitingPoll>>[] = []
    const waiting: Seen[] = []
    for (const peer of peers) {
      polls.push(await waitingPoll(peer))
      waiting.push(seen.findLast(({ res }) => !res.writableEnded)!)
    }
    const [one, other] = waiting as [Seen, Seen]
    expect(one.req, 'two different polls wait').not.toBe(other.req)
    expect(haveSameClass(one.req, other.req)).toBe(true)
    expect(haveSameClass(one.res, other.res)).toBe(true)
    await subject.publish(channel, 'hello')
    for (const { answer } of polls) expect((await answer).messages).toHaveLength(1)
    expect(haveSameClass(one.req, other.req)).toBe(true)
    expect(haveSameClass(one.res, other.res)).toBe(true)
  })

  it('have the prototypes of the application, and what it adds to them at any time', async () => {
    const { app, seen, subject, origin } = await start(framework)
    Object.assign(app.request, { early: 'early' })
    const former = app.request
    app.get('/added', (req, res) => {
      const { early, late, later } = req as unknown as Record<string, string>
      res.json([early, late, later, req.app === app])
    })
    await session(subject, channelName())
    Object.assign(former, { late: 'late' })
    Object.assign(app.request, { later: 'later' })
    expect(await (await fetch(`${origin}/added`)).json()).toEqual(['early', 'late', 'later', true])
    const { req, res } = seen.at(-1)!
    expect(Object.getPrototypeOf(req)).toBe(app.request)
    expect(Object.getPrototypeOf(res)).toBe(app.response)
    expect([req instanceof http.IncomingMessage, res instanceof http.ServerResponse]).toEqual([true, true])
    expect([req.constructor, res.constructor]).toEqual([http.IncomingMessage, http.ServerResponse])
  })

  it('are those of Node for a listener that is added later', async () => {
    const { server, subject } = await start(framework)
    await session(subject, channelName())
    const prototypes: unknown[] = []
    server.prependListener('request', (req, res) => {
      prototypes.push(Object.getPrototypeOf(req), Object.getPrototypeOf(res))
    })
    await session(subject, channelName())
    expect(prototypes.slice(-2)).toEqual([http.IncomingMessage.prototype, http.ServerResponse.prototype])
  })

  it('pass the middleware of the application at every poll', async () => {
    const app: Express = framework()
    let isAllowed = true
    app.use((req, res, next) => {
      if (!isAllowed) return void res.sendStatus(401)
      Object.assign(req, { user: 'alice' })
      next()
    })
    const users: unknown[] = []
    const live = broadcaster({
      redis: false,
      canConnect: (_auth, req) => users.push((req as unknown as { user: string }).user) > 0,
    })
    app.use('/broadcast', live)
    const origin = await listen(http.createServer(app), live)
    const subject: Subject = { url: `${origin}/broadcast`, publish: (...args) => live.publish(...args) }
    const channel = channelName()
    const alice = await session(subject, channel)
    await live.publish(channel, '1')
    expect((await alice.next()).body).toBe('1')
    isAllowed = false
    expect((await alice.poll()).status).toBe(401)
    expect((await post(subject.url, { __type: 'auth' })).status).toBe(401)
    isAllowed = true
    await live.publish(channel, '2')
    expect((await alice.next()).body).toBe('2')
    expect(users).toEqual(['alice'])
  })
})

it('are not changed if the application shares the requests with another listener', async () => {
  const app = express()
  const prototypes: unknown[] = []
  const server = http.createServer((req) => void prototypes.push(Object.getPrototypeOf(req)))
  server.on('request', app)
  const live = tidy(broadcaster({ redis: false }))
  app.use('/broadcast', live)
  const origin = await listen(server, live)
  const subject: Subject = { url: `${origin}/broadcast`, publish: (...args) => live.publish(...args) }
  await session(subject, channelName())
  await session(subject, channelName())
  expect(new Set(prototypes)).toEqual(new Set([http.IncomingMessage.prototype]))
})
