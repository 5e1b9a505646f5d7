import type { BroadcasterOptions } from '@broadcaster/server'
import { once } from 'node:events'
import net from 'node:net'
import express from 'express'
import { describe, expect, it } from 'vitest'
import { noticed } from '../support/barriers.ts'
import { LongPollPeer, post } from '../support/longPollPeer.ts'
import { channelName } from '../support/names.ts'
import { startServer, type Setup, type TestServer } from '../support/server.ts'
import { tidy } from '../support/tidy.ts'
import { sleep, until, within } from '../support/waiting.ts'
import { refusedHandshake, WebSocketPeer } from '../support/webSocketPeer.ts'

const app = 'https://app.example'
const elsewhere = 'https://elsewhere.example'

/** Whether the origin is accepted. Checks that both transports and the preflight give the same answer. */
async function isAccepted(
  server: TestServer,
  origin: string,
  others: Record<string, string> = {},
): Promise<boolean> {
  const headers = { ...others, Origin: origin }
  const longPoll = await post(server.url, { __type: 'auth' }, { headers })
  const isAllowed = longPoll.status === 200
  expect(longPoll.status).toBe(isAllowed ? 200 : 403)
  expect(longPoll.headers.get('access-control-allow-origin')).toBe(isAllowed ? origin : null)
  const asked = { ...headers, 'Access-Control-Request-Method': 'POST' }
  const preflight = await post(server.url, '', { method: 'OPTIONS', headers: asked })
  expect(preflight.status).toBe(isAllowed ? 204 : 403)
  expect(preflight.headers.get('access-control-allow-origin')).toBe(isAllowed ? origin : null)
  if (isAllowed) await WebSocketPeer.connect(server, { headers })
  else expect((await refusedHandshake(server, { headers })).status).toBe(403)
  return isAllowed
}

const start = async (checkOrigin?: BroadcasterOptions['checkOrigin'], setup?: Setup) =>
  tidy(await startServer(checkOrigin === undefined ? {} : { checkOrigin }, setup))

describe('origins', () => {
  it('are only the own one by default', async () => {
    const server = await start()
    expect(await isAccepted(server, server.origin)).toBe(true)
    expect(await isAccepted(server, app)).toBe(false)
    expect(await isAccepted(server, 'null')).toBe(false)
    expect(
      await isAccepted(server, server.origin.replace(/\d+$/, '1')),
      'another port is another origin',
    ).toBe(false)
  })

  it('can be a list', async () => {
    const server = await start([app, 'http://localhost:3000'])
    expect(await isAccepted(server, app)).toBe(true)
    expect(await isAccepted(server, 'http://localhost:3000')).toBe(true)
    expect(await isAccepted(server, elsewhere)).toBe(false)
    expect(await isAccepted(server, `${app}.elsewhere.example`)).toBe(false)
    expect(await isAccepted(server, app.replace('https', 'http'))).toBe(false)
  })

  it.each([
    ['https://app.example/', app],
    ['https://app.example:443', app],
    ['HTTPS://App.Example', app],
    ['http://app.example:80/', 'http://app.example'],
    ['https://m\u00fcnchen.example', 'https://xn--mnchen-3ya.example'],
    ['http://[0:0:0:0:0:0:0:1]:3000', 'http://[::1]:3000'],
    [' http://localhost:3000  ', 'http://localhost:3000'],
    ['capacitor://localhost', 'capacitor://localhost'],
    ['tauri://localhost/', 'tauri://localhost'],
    ['chrome-extension://abcdefgh', 'chrome-extension://abcdefgh'],
    ['file://', 'file://'],
  ])('in a list can be written as %s, and browsers send %s', async (entry, origin) => {
    const server = await start([entry])
    expect(await isAccepted(server, origin)).toBe(true)
    expect(await isAccepted(server, `${origin}.elsewhere.example`)).toBe(false)
  })

  it('can be patterns, and the state of a global pattern does not matter', async () => {
    const server = await start([/^https:\/\/[\w-]+\.app\.example$/gy, app])
    for (let i = 0; i < 3; i++) expect(await isAccepted(server, 'https://preview-5.app.example')).toBe(true)
    expect(await isAccepted(server, app)).toBe(true)
    expect(await isAccepted(server, 'https://a.b.app.example')).toBe(false)
    expect(await isAccepted(server, 'https://x.app.example.elsewhere.example')).toBe(false)
  })

  it('can be checked by a function', async () => {
    const server = await start((req) => req.get('origin')?.endsWith('.example') === true)
    expect(await isAccepted(server, app)).toBe(true)
    expect(await isAccepted(server, 'https://app.test')).toBe(false)
  })

  it('can be checked by an asynchronous function, which is called once for each request', async () => {
    let asked = 0
    const server = await start(async (req) => {
      asked += 1
      await sleep(20)
      return req.get('origin') === app
    })
    expect(await isAccepted(server, app)).toBe(true)
    expect(await isAccepted(server, elsewhere)).toBe(false)
    expect(asked).toBe(6)
    const alice = new LongPollPeer(server, { Origin: app })
    const channel = channelName()
    await alice.auth()
    await alice.subscribe(channel)
    await server.publish(channel, 'hello')
    expect(await alice.next()).toMatchObject({ body: 'hello' })
  })

  it.each([
    [
      'throws',
      () => {
        throw new Error('no idea')
      },
    ],
    ['rejects', () => Promise.reject(new Error('no idea'))],
  ])('are refused when the function %s', async (_, checkOrigin) => {
    const server = await start(checkOrigin)
    expect(await isAccepted(server, app)).toBe(false)
    expect(server.logs.loud('no idea')).not.toEqual([])
  })

  it.each([undefined, 1, 'yes', {}])('are refused when the function returns %j', async (answer) => {
    const server = await start((() => answer) as unknown as () => boolean)
    expect(await isAccepted(server, app)).toBe(false)
    expect(server.logs.loud(/only true/)).toHaveLength(1)
  })

  it('a client can disconnect while the function decides, and the server continues to work', async () => {
    let open = () => {}
    const thinking = new Promise<boolean>((resolve) => (open = () => resolve(true)))
    let asked = 0
    const server = await start(() => {
      asked += 1
      return thinking
    })
    const gone = [WebSocketPeer.connect(server), post(server.url, { __type: 'auth' })]
    for (const request of gone) request.catch(() => {})
    await until('both to be asked about', () => asked === 2)
    server.httpServer.closeAllConnections()
    for (const request of gone) await expect(request).rejects.toThrow()
    open()
    await WebSocketPeer.connect(server)
    expect((await server.broadcaster.stats()).connections).toBe(0)
  })

  it('a poll whose client disconnects while the function decides does not wait on the server', async () => {
    let gate: Promise<void> | null = null
    let open = () => {}
    let asked = 0
    const checkOrigin = async () => {
      asked += 1
      await gate
      return true
    }
    const server = await start(checkOrigin, { before: (app) => app.use(express.json({ type: () => true })) })
    const alice = new LongPollPeer(server)
    await alice.auth()
    gate = new Promise((resolve) => (open = resolve))
    const abort = new AbortController()
    const before = asked
    const poll = alice.poll({}, { signal: abort.signal })
    poll.catch(() => {})
    await until('the function to be asked', () => asked > before)
    abort.abort()
    await until('the server to notice the end', () => connectionsOf(server).then((count) => count === 0))
    open()
    gate = null
    await noticed(alice)
    expect((await server.broadcaster.stats()).node.waitingPolls).toBe(0)
  })

  it('are not checked for a client that sends none, because it is no browser', async () => {
    const server = await start([app])
    expect((await post(server.url, { __type: 'auth' })).status).toBe(200)
    await WebSocketPeer.connect(server)
  })

  it('L10: that are refused can not POST anything, also not to an existing session', async () => {
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

  it('L11: are in Vary, so that caches keep the answers apart', async () => {
    const server = await start([app, 'https://other.example'])
    for (const origin of [app, 'https://other.example']) {
      const { headers } = await post(server.url, { __type: 'auth' }, { headers: { Origin: origin } })
      expect(headers.get('access-control-allow-origin')).toBe(origin)
      expect(headers.get('vary')).toMatch(/\borigin\b/i)
    }
  })

  it('L11: can send cookies with their requests', async () => {
    const server = await start([app])
    const { headers } = await post(server.url, { __type: 'auth' }, { headers: { Origin: app } })
    expect(headers.get('access-control-allow-credentials')).toBe('true')
  })
})

function connectionsOf({ httpServer }: TestServer): Promise<number> {
  return new Promise((resolve, reject) =>
    httpServer.getConnections((error, count) => (error ? reject(error) : resolve(count))),
  )
}

describe('the own origin', () => {
  it.each([
    ['https://example.com', 'example.com'],
    ['https://example.com', 'EXAMPLE.com:443'],
    ['https://example.com', 'example.com:'],
    ['http://example.com', 'Example.Com:80'],
    ['https://example.com:8443', 'example.COM:8443'],
    ['http://[::1]:3000', '[0:0:0:0:0:0:0:1]:3000'],
    ['https://[::1]', '[::1]:443'],
    ['wss://example.com', 'example.com:443'],
    ['ws://example.com:3000', 'example.com:3000'],
    ['https://xn--mnchen-3ya.example', 'xn--mnchen-3ya.example'],
  ])('is %s where the server was asked for as %s', async (origin, host) => {
    expect(await isAccepted(await start(), origin, { Host: host })).toBe(true)
  })

  it.each([
    ['https://example.com', 'example.com:80'],
    ['http://example.com', 'example.com:443'],
    ['https://example.com', 'example.com:8443'],
    ['https://example.com:8443', 'example.com'],
    ['https://example.com', 'www.example.com'],
    ['https://example.com', 'example.com.elsewhere.example'],
    ['https://example.com', 'user@example.com'],
    ['https://example.com', 'example.com/x'],
    ['https://example.com', 'example.com?x'],
    ['https://example.com', 'example.com#x'],
    ['https://example.com', 'example.com\\x'],
    ['https://[::1]', '[::2]'],
    ['wss://example.com', 'example.com:80'],
    ['capacitor://example.com', 'example.com'],
    ['file://', 'localhost'],
    ['null', 'null'],
    ['nonsense', 'nonsense'],
  ])('is not %s where the server was asked for as %s', async (origin, host) => {
    expect(await isAccepted(await start(), origin, { Host: host })).toBe(false)
  })

  it('is unknown if the request has no host', async () => {
    const server = await start()
    const socket = net.connect(Number(new URL(server.url).port), '127.0.0.1')
    tidy({ close: () => socket.destroy() })
    socket.write('POST /broadcast HTTP/1.0\r\nOrigin: http://127.0.0.1\r\nContent-Length: 2\r\n\r\n{}')
    const [data] = (await within(once(socket, 'data'), 'an answer')) as [Buffer]
    expect(String(data)).toMatch(/^HTTP\/1\.1 403/)
  })

  it.each<[setting: unknown, isTrusted: boolean]>([
    [undefined, false],
    [false, false],
    [true, true],
    [1, true],
    ['loopback', true],
    ['10.0.0.0/8', false],
    [() => false, false],
  ])("is what X-Forwarded-Host says with 'trust proxy' %s: %s", async (setting, isTrusted) => {
    const server = await start(undefined, {
      before: (express) => setting !== undefined && express.set('trust proxy', setting),
    })
    const forwarded = (host: string) => ({ Host: 'internal:3000', 'X-Forwarded-Host': host })
    expect(await isAccepted(server, app, forwarded('APP.example:443'))).toBe(isTrusted)
    expect(await isAccepted(server, 'https://app.example:8443', forwarded('app.example:8443 , inner'))).toBe(
      isTrusted,
    )
    expect(await isAccepted(server, app, forwarded('app.example:8443'))).toBe(false)
    expect(await isAccepted(server, 'http://internal:3000', forwarded(''))).toBe(true)
  })
})

describe('an origin that is refused', () => {
  it.each<
    [what: string, options: BroadcasterOptions['checkOrigin'], origin: string, headers: object, hint: RegExp]
  >([
    [
      'stranger',
      undefined,
      app,
      { Host: 'shop.example' },
      /the Host of the request is .shop\.example.; .* write checkOrigin: \["https:\/\/app\.example"\]/,
    ],
    ['forgotten in a list', [elsewhere], app, {}, /not in checkOrigin.*\["https:\/\/app\.example"\]/],
    ['sandboxed', undefined, 'null', {}, /only a function/],
    ['sandboxed, with a list', [app], 'null', {}, /only a function/],
    ['of another port', undefined, 'http://127.0.0.1:1', {}, /another port.*\$http_host/],
    [
      'behind a proxy that cuts off the port',
      undefined,
      'https://a.example:8443',
      { Host: 'a.example' },
      /\$http_host/,
    ],
    [
      'behind a proxy that is not trusted',
      undefined,
      app,
      { Host: 'internal', 'X-Forwarded-Host': 'app.example' },
      /'trust proxy'/,
    ],
    ['to the function', () => false, app, {}, /checkOrigin returned false/],
  ])('is logged once, with what would let it in: %s', async (_, checkOrigin, origin, headers, hint) => {
    const server = await start(checkOrigin)
    for (let i = 0; i < 3; i++) expect(await isAccepted(server, origin, { ...headers })).toBe(false)
    expect(server.logs.loud()).toEqual([expect.stringMatching(hint)])
    expect(server.logs.loud(origin)).toHaveLength(1)
  })

  it('is accepted with the option that the log proposes', async () => {
    const refusing = await start()
    await isAccepted(refusing, 'https://app.example:8443')
    const [, list] = /checkOrigin: (\[[^\\]*?\])/.exec(refusing.logs.loud()[0]!)!
    const server = await start(JSON.parse(list!) as string[])
    expect(await isAccepted(server, 'https://app.example:8443')).toBe(true)
  })

  it('can not fill the log', async () => {
    const server = await start()
    for (let i = 0; i < 150; i++) {
      const headers = { Origin: `https://${i}.${'x'.repeat(1000)}.example` }
      expect((await post(server.url, '{}', { headers })).status).toBe(403)
    }
    const lines = server.logs.loud()
    expect(lines).toHaveLength(10)
    for (const line of lines) expect(line.length).toBeLessThan(5000)
  })
})
