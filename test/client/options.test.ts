import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { BroadcasterClient, BroadcasterError } from '@broadcaster/client'
import type { ClientOptions } from '@broadcaster/client'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import WebSocket from 'ws'
import { makeClient, scriptedServer } from './scriptedServer.ts'

const wrong = (value: unknown) => value as never

describe('options', () => {
  const refused: [string, ConstructorParameters<typeof BroadcasterClient>, string][] = [
    ['an empty url', [''], "url should be a path, or an http(s):// or ws(s):// URL, got ''"],
    ['a url of another scheme', ['ftp://host/x'], "got 'ftp://host/x'"],
    ['no url', [wrong(undefined)], 'got undefined'],
    [
      'an unknown mode',
      ['/', { mode: wrong('polling') }],
      "'auto', 'websocket' or 'longpoll', got 'polling'",
    ],
    [
      'auth that is a string',
      ['/', { auth: wrong('token') }],
      "auth should be an object or a function, got 'token'",
    ],
    ['auth that is an array', ['/', { auth: wrong([]) }], 'auth should be an object or a function'],
    [
      'schemas without defineChannels()',
      ['/', { channels: wrong({}) }],
      'channels should be what defineChannels()',
    ],
    ['a timeout of 0', ['/', { timeout: 0 }], 'timeout should be milliseconds above 0, got 0'],
    ['a timeout that is too long for timers', ['/', { timeout: 2 ** 31 }], 'timeout should be milliseconds'],
    ['a ping interval that is text', ['/', { pingInterval: wrong('1s') }], 'pingInterval should be'],
    ['a negative maxAttempts', ['/', { maxAttempts: -1 }], 'maxAttempts should be a whole number from 0'],
    ['a fractional maxAttempts', ['/', { maxAttempts: 0.5 }], 'maxAttempts should be a whole number from 0'],
    ['headers that are a string', ['/', { headers: wrong('a: b') }], 'headers should be an object'],
    ['a WebSocket that is not a class', ['/', { WebSocket: wrong({}) }], 'WebSocket should be a function'],
    ['a fetch that is not a function', ['/', { fetch: wrong(1) }], 'fetch should be a function'],
  ]
  it.each(refused)(
    'the constructor refuses %s, and the error says what was expected',
    (_what, args, message) => {
      const make = () => new BroadcasterClient(...args)
      expect(make).toThrow(BroadcasterError)
      expect(make).toThrow(
        expect.objectContaining({ code: 'options', message: expect.stringContaining(message) }),
      )
    },
  )

  const accepted: [string, ConstructorParameters<typeof BroadcasterClient>][] = [
    ['a path', ['/broadcast']],
    ['a relative path', ['broadcast/live']],
    ['an http URL', ['http://example.com/broadcast']],
    ['a wss URL', ['wss://example.com/broadcast']],
    ['a URL object', [new URL('https://example.com/broadcast')]],
    ['options that are undefined', ['/', { mode: undefined, auth: undefined } as unknown as ClientOptions]],
    ['no limit for attempts', ['/', { maxAttempts: Infinity }]],
  ]
  it.each(accepted)('the constructor accepts %s', (_what, args) => {
    expect(new BroadcasterClient(...args).status).toBe('idle')
  })

  it('subscribe() refuses a call without a handler, or with a channel that is not a string', () => {
    const client = new BroadcasterClient('/broadcast')
    expect(() => client.subscribe('news', wrong(undefined))).toThrow('the name of a channel and a function')
    expect(() => client.subscribe(wrong(7), () => {})).toThrow('the name of a channel and a function')
  })
})

describe('the url', () => {
  it.each(['http', 'ws'])('with scheme %s works for both transports', async (scheme) => {
    const server = await scriptedServer()
    const url = server.url.replace('http', scheme)
    void makeClient(url, { mode: 'websocket' }).connect()
    void makeClient(url, { mode: 'longpoll' }).connect()
    expect(await (await server.socket()).next()).toMatchObject({ __type: 'auth' })
    expect((await server.request()).message).toMatchObject({ __type: 'auth' })
  })

  it('may be a path on the page', async () => {
    const server = await scriptedServer()
    vi.stubGlobal('location', new URL('/shop/index.html', server.url))
    onTestFinished(() => void vi.unstubAllGlobals())
    const client = makeClient('/broadcast', { mode: 'websocket' })
    void client.connect()
    await server.accept()
  })

  it('that is a path makes connect() fail with a clear error if there is no page', async () => {
    const client = makeClient('/broadcast')
    await expect(client.connect()).rejects.toMatchObject({
      code: 'options',
      message: expect.stringContaining('/broadcast'),
    })
    expect(client.status).toBe('disconnected')
  })
})

describe('headers', () => {
  it('are sent with every request and with the handshake', async () => {
    const server = await scriptedServer()
    const headers = { 'x-device': 'kiosk 7' }
    void makeClient(server.url, { mode: 'websocket', headers }).connect()
    expect((await server.socket()).headers['x-device']).toBe('kiosk 7')
    void makeClient(server.url, { mode: 'longpoll', headers }).connect()
    const request = await server.request('auth')
    expect(request.headers['x-device']).toBe('kiosk 7')
    expect(request.headers['content-type']).toBe('application/json')
  })
})

describe('on a platform without WebSocket or fetch', () => {
  it('auto uses long-poll only if there is no WebSocket', async () => {
    vi.stubGlobal('WebSocket', undefined)
    onTestFinished(() => void vi.unstubAllGlobals())
    const server = await scriptedServer()
    const client = new BroadcasterClient(server.url)
    onTestFinished(() => void client.disconnect())
    const connected = client.connect()
    await server.acceptSession('one')
    await connected
    expect(client.transport).toBe('longpoll')
    expect(server.pendingHandshakes).toBe(0)
  })

  it('auto uses WebSocket only if there is no fetch', async () => {
    vi.stubGlobal('fetch', undefined)
    onTestFinished(() => void vi.unstubAllGlobals())
    const server = await scriptedServer('refuse')
    const client = makeClient(server.url, { maxAttempts: 0 })
    await expect(client.connect()).rejects.toMatchObject({ code: 'maxAttempts' })
    expect(server.pendingRequests).toEqual([])
  })

  it('the error of mode websocket says that a WebSocket may be passed', async () => {
    vi.stubGlobal('WebSocket', undefined)
    onTestFinished(() => void vi.unstubAllGlobals())
    const client = new BroadcasterClient('ws://127.0.0.1:1/', { mode: 'websocket' })
    await expect(client.connect()).rejects.toMatchObject({
      code: 'options',
      message: expect.stringContaining('pass one as the WebSocket option'),
    })
  })

  it('the client can be imported and created without a page, and does nothing then', async () => {
    const program = `
      for (const name of ['WebSocket', 'fetch', 'crypto', 'location', 'document']) delete globalThis[name]
      const { BroadcasterClient } = await import('@broadcaster/client')
      const client = new BroadcasterClient('/broadcast')
      console.log(client.status, client.transport, client.error, JSON.stringify(client.getSnapshot()))`
    const tsx = import.meta.resolve('tsx')
    const args = ['--conditions=@broadcaster/source', '--import', tsx, '--input-type=module', '-e', program]
    const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: import.meta.dirname })
    expect(stdout.trim()).toBe(
      'idle null null {"status":"idle","transport":null,"error":null,"attempt":0,"retryAt":null}',
    )
  })

  it('the client uses the WebSocket of the platform if there is one', async () => {
    vi.stubGlobal('WebSocket', WebSocket)
    onTestFinished(() => void vi.unstubAllGlobals())
    const server = await scriptedServer()
    const client = new BroadcasterClient(server.url, {
      mode: 'websocket',
      headers: { 'x-device': 'kiosk 7' },
    })
    onTestFinished(() => void client.disconnect())
    void client.connect()
    expect((await server.accept()).headers['x-device']).toBeUndefined()
  })
})
