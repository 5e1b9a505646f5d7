import type { BroadcasterOptions } from '@broadcaster/server'
import { describe, expect, it } from 'vitest'
import { LongPollPeer, post } from '../support/longPollPeer.ts'
import { channelName } from '../support/names.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { tidy } from '../support/tidy.ts'
import { refusedHandshake, WebSocketPeer } from '../support/webSocketPeer.ts'

const app = 'https://app.example'
const elsewhere = 'https://elsewhere.example'

async function isLetIn(server: TestServer, origin: string): Promise<boolean> {
  const longPoll = await post(server.url, { __type: 'auth' }, { headers: { Origin: origin } })
  const isAllowed = longPoll.status === 200
  expect(longPoll.status).toBe(isAllowed ? 200 : 403)
  expect(longPoll.headers.get('access-control-allow-origin')).toBe(isAllowed ? origin : null)
  const preflight = await fetch(server.url, {
    method: 'OPTIONS',
    headers: { Origin: origin, 'Access-Control-Request-Method': 'POST' },
  })
  expect(preflight.headers.get('access-control-allow-origin')).toBe(isAllowed ? origin : null)
  if (isAllowed) await WebSocketPeer.connect(server, { origin })
  else expect((await refusedHandshake(server, { origin })).status).toBe(403)
  return isAllowed
}

describe('origins', () => {
  const start = async (checkOrigin?: BroadcasterOptions['checkOrigin']) =>
    tidy(await startServer(checkOrigin === undefined ? {} : { checkOrigin }))

  it('are the own one only, unless told otherwise', async () => {
    const server = await start()
    expect(await isLetIn(server, server.origin)).toBe(true)
    expect(await isLetIn(server, app)).toBe(false)
    expect(await isLetIn(server, 'null')).toBe(false)
    expect(await isLetIn(server, server.origin.replace(/\d+$/, '1')), 'another port is another origin').toBe(
      false,
    )
  })

  it('may be a list', async () => {
    const server = await start([app, 'http://localhost:3000'])
    expect(await isLetIn(server, app)).toBe(true)
    expect(await isLetIn(server, 'http://localhost:3000')).toBe(true)
    expect(await isLetIn(server, elsewhere)).toBe(false)
    expect(await isLetIn(server, `${app}.elsewhere.example`)).toBe(false)
    expect(await isLetIn(server, app.replace('https', 'http'))).toBe(false)
  })

  it('may be decided by a function', async () => {
    const server = await start((req) => req.get('origin')?.endsWith('.example') === true)
    expect(await isLetIn(server, app)).toBe(true)
    expect(await isLetIn(server, 'https://app.test')).toBe(false)
  })

  it('are refused when the function fails', async () => {
    const server = await start(() => {
      throw new Error('no idea')
    })
    expect(await isLetIn(server, app)).toBe(false)
    expect(server.logs.loud('no idea')).not.toEqual([])
  })

  it('do not matter to who sends none: that is no browser', async () => {
    const server = await start([app])
    expect((await post(server.url, { __type: 'auth' })).status).toBe(200)
    await WebSocketPeer.connect(server)
  })

  it('L10: get nothing done with a POST, on a living session either', async () => {
    const server = await start([app])
    const channel = channelName()
    const alice = new LongPollPeer(server)
    await alice.auth()
    await alice.subscribe(channel)
    const headers = { Origin: elsewhere }
    expect((await alice.post({ __type: 'unsubscribe', channel }, { headers })).status).toBe(403)
    await server.publish(channel, 'still subscribed')
    expect((await alice.post({ __type: 'poll', seq: '0' }, { headers })).status).toBe(403)
    expect(await alice.next()).toMatchObject({ body: 'still subscribed' })
  })

  it('L11: are told so that caches keep them apart', async () => {
    const server = await start([app, 'https://other.example'])
    for (const origin of [app, 'https://other.example']) {
      const { headers } = await post(server.url, { __type: 'auth' }, { headers: { Origin: origin } })
      expect(headers.get('access-control-allow-origin')).toBe(origin)
      expect(headers.get('vary')).toMatch(/\borigin\b/i)
    }
  })

  it('L11: may send cookies with what they ask', async () => {
    const server = await start([app])
    const { headers } = await post(server.url, { __type: 'auth' }, { headers: { Origin: app } })
    expect(headers.get('access-control-allow-credentials')).toBe('true')
  })
})
