import { BroadcasterError, broadcaster, type BroadcasterOptions } from '@broadcaster/server'
import { EventEmitter } from 'node:events'
import http from 'node:http'
import { runInNewContext } from 'node:vm'
import express from 'express'
import { describe, expect, it } from 'vitest'

function refusalOf(options: unknown): unknown {
  try {
    broadcaster(options as BroadcasterOptions)
  } catch (error) {
    return error
  }
  return undefined
}

type Case = [problem: string, options: unknown, message: RegExp]

/** An object like a client of node-redis or of another library. */
class RedisClient extends EventEmitter {
  isOpen = false
  async connect() {}
  async sendCommand() {}
  duplicate() {
    return new RedisClient()
  }
}

const tooLong = 2 ** 31

const cases: Case[] = [
  ['null', null, /object of options, got null/],
  ['the path', '/broadcast', /app\.use\(path/],
  ['a list', [], /object of options, got a list/],
  ['an application', express(), /object of options/],
  ['a server', http.createServer(), /attach\(server\)/],
  ['an unknown option', { pollTimeMs: 5 }, /pollTimeMs/],
  ['an unknown limit', { limits: { bytes: 5 } }, /limits\.bytes/],
  ['schemas without defineChannels()', { channels: { orders: {} } }, /channels.*defineChannels\(\)/],
  ['null as channels', { channels: null }, /channels.*null/],
  ['an unknown recovery option', { recovery: { seconds: 5 } }, /recovery\.seconds/],

  ['a timeout that is text', { timeout: '30s' }, /timeout.*"30s"/],
  ['a timeout of 0', { timeout: 0 }, /timeout.*0/],
  ['a negative timeout', { timeout: -1 }, /timeout.*-1/],
  ['a timeout of NaN', { timeout: Number.NaN }, /timeout.*NaN/],
  ['a fractional timeout, which Redis refuses', { timeout: 1000.5 }, /timeout.*1000\.5/],
  ['a timeout that is too long for timers', { timeout: tooLong }, /timeout.*2147483647.*2147483648/],
  ['a secret that is too short', { secret: 'hush' }, /secret.*16 characters/],
  ['an empty list of secrets', { secret: [] }, /secret.*16 characters/],
  [
    'an undefined secret from the environment',
    { secret: ['a'.repeat(16), undefined] },
    /secret.*16 characters/,
  ],
  ['an infinite timeout', { timeout: Infinity }, /timeout.*Infinity/],
  ['null as timeout', { timeout: null }, /timeout.*null/],
  ['a big integer as timeout', { timeout: 30_000n }, /timeout.*30000n/],
  ['a date as timeout', { timeout: new Date(5) }, /timeout.*Date/],
  ['a poll time as long as the timeout', { timeout: 500, pollTime: 500 }, /pollTime.*500/],
  ['a negative poll time', { pollTime: -1 }, /pollTime/],
  ['an infinite poll time', { pollTime: Infinity }, /pollTime.*Infinity/],
  ['a poll time that is text', { pollTime: '500' }, /pollTime.*"500"/],
  ['a fractional poll time', { pollTime: 0.5 }, /pollTime.*0\.5/],
  ['null as poll time', { pollTime: null }, /pollTime.*null/],

  ['a limit of 0', { limits: { connections: 0 } }, /limits\.connections/],
  ['a limit that is text', { limits: { messageBytes: '1mb' } }, /limits\.messageBytes/],
  ['null as a limit', { limits: { authBytes: null } }, /limits\.authBytes.*null/],
  [
    'a fractional number of channels',
    { limits: { channelsPerConnection: 0.5 } },
    /limits\.channelsPerConnection.*0\.5/,
  ],
  ['a negative limit', { limits: { bufferedBytes: -Infinity } }, /limits\.bufferedBytes.*-Infinity/],
  ['a time limit that is too long for timers', { limits: { authTimeout: tooLong } }, /limits\.authTimeout/],
  ['null as limits', { limits: null }, /limits.*null/],
  ['a number as limits', { limits: 1000 }, /limits.*messageBytes.*1000/],
  ['a list of limits', { limits: [1000] }, /limits.*a list/],
  ['false as limits', { limits: false }, /limits.*false/],

  ['a window of 0', { recovery: { window: 0 } }, /recovery\.window/],
  ['a window that is text', { recovery: { window: '30s' } }, /recovery\.window.*"30s"/],
  ['a fractional number of messages', { recovery: { maxMessages: 1.5 } }, /recovery\.maxMessages.*1\.5/],
  ['no copy at all', { recovery: { copies: 0 } }, /recovery\.copies.*whole number from 1 to 8.*0/],
  ['a fractional number of copies', { recovery: { copies: 1.5 } }, /recovery\.copies.*from 1 to 8.*1\.5/],
  ['too many copies', { recovery: { copies: 9 } }, /recovery\.copies.*from 1 to 8.*9/],
  ['copies without a limit', { recovery: { copies: Infinity } }, /recovery\.copies.*from 1 to 8.*Infinity/],
  ['copies as text', { recovery: { copies: '2' } }, /recovery\.copies.*from 1 to 8.*"2"/],
  ['null as copies', { recovery: { copies: null } }, /recovery\.copies.*from 1 to 8.*null/],
  ['true as recovery', { recovery: true }, /recovery.*false.*on by default.*true/],
  ['null as recovery', { recovery: null }, /recovery.*null/],
  ['a number as recovery', { recovery: 30_000 }, /recovery.*30000/],

  ['true as canConnect', { canConnect: true }, /canConnect/],
  ['text as canSubscribe', { canSubscribe: 'everyone' }, /canSubscribe/],
  ['null as canConnect', { canConnect: null }, /canConnect.*null/],

  ['an empty control channel', { controlChannel: '' }, /controlChannel/],
  ['a number as control channel', { controlChannel: 5 }, /controlChannel/],
  ['a control channel that UTF-8 can not encode', { controlChannel: '\uD83D' }, /controlChannel.*UTF-8/],
  ['a number as namespace', { controlNamespace: 5 }, /controlNamespace/],
  ['null as namespace', { controlNamespace: null }, /controlNamespace.*null/],

  ['a logger without error()', { logger: { info() {} } }, /logger/],
  ['null as logger', { logger: null }, /logger.*null/],
  ['false as logger', { logger: false }, /logger/],
]

const redisCases: Case[] = [
  ['pub/sub on Redis without Redis', { redis: false, pubSub: 'redis://localhost:6379' }, /pubSub/],
  ['true as redis', { redis: true }, /redis/],
  ['a number as redis', { redis: 6379 }, /redis/],
  ['null as redis', { redis: null }, /redis.*null/],
  ['an empty string as redis', { redis: '' }, /redis.*""/],
  ['a host without a scheme', { redis: 'localhost:6379' }, /redis.*"localhost:6379"/],
  ['a URL with another scheme', { redis: 'http://localhost:6379' }, /redis/],
  ['a password with #', { redis: 'redis://:se#cret@localhost:6379' }, /encodeURIComponent/],
  ['a password with /', { redis: 'rediss://me:se/cret@localhost:6379' }, /encodeURIComponent/],
  ['a password with %', { redis: 'redis://:10%off@localhost:6379' }, /encodeURIComponent/],
  ['a URL with an invalid port', { redis: 'redis://localhost:port' }, /redis:\/\/localhost:port/],
  ['a URL object', { redis: new URL('redis://localhost:6379') }, /url\.href/],
  ['a client of node-redis', { redis: new RedisClient() }, /node-redis.*class RedisClient/],
  [
    'a client of node-redis for pub/sub',
    { redis: 'redis://localhost', pubSub: new RedisClient() },
    /pubSub.*node-redis/,
  ],
  ['a promise of a client', { redis: Promise.resolve(new RedisClient()) }, /awaited/],
  ['a class as redis', { redis: RedisClient }, /redis.*the function RedisClient/],
  ["node-redis' url", { redis: { url: 'redis://localhost:6379' } }, /redis\.url.*the URL itself/],
  ["node-redis' socket", { redis: { socket: { host: 'localhost' } } }, /redis\.socket.*host, port/],
  ["node-redis' database", { redis: { host: 'localhost', database: 3 } }, /redis\.database.*db/],
  ['nodes of a Cluster', { redis: [{ host: 'localhost', port: 7000 }] }, /cluster: \[/],
  ['options of a Cluster', { redis: { rootNodes: [{ url: 'redis://localhost' }] } }, /cluster: \[/],
  ['a map as redis', { redis: new Map([['host', 'localhost']]) }, /redis.*class Map/],
  ['a port that is not a number', { redis: { port: Number('x') } }, /redis\.port.*NaN/],
  ['a port that is too high', { redis: { port: 99_999 } }, /redis\.port.*99999/],
  ['a host that is a number', { redis: { host: 127 } }, /redis\.host.*127/],
]

const originCases: Case[] = [
  ['an origin without a list', { checkOrigin: 'https://app.example' }, /write \["https:\/\/app\.example"\]/],
  ['a pattern without a list', { checkOrigin: /app/ }, /write \[\/app\/\]/],
  ['true', { checkOrigin: true }, /list of origins or a function, got true/],
  ['null', { checkOrigin: null }, /checkOrigin.*null/],
  ['an object', { checkOrigin: { origin: '*' } }, /checkOrigin.*an object/],
  ['an asterisk', { checkOrigin: ['*'] }, /checkOrigin: \(\) => true/],
  ['the origin null', { checkOrigin: ['null'] }, /'null'.*function/],
  ['an origin without a scheme', { checkOrigin: ['app.example'] }, /write "https:\/\/app\.example"/],
  [
    'an origin without a scheme, with a port',
    { checkOrigin: ['localhost:3000'] },
    /write "https:\/\/localhost:3000"/,
  ],
  [
    'an origin without a scheme, with slashes',
    { checkOrigin: ['//app.example'] },
    /write "https:\/\/app\.example"/,
  ],
  ['a path', { checkOrigin: ['https://app.example/chat'] }, /write "https:\/\/app\.example"/],
  ['a query', { checkOrigin: ['https://app.example?x'] }, /write "https:\/\/app\.example"/],
  ['an empty query', { checkOrigin: ['https://app.example?'] }, /write "https:\/\/app\.example"/],
  ['a fragment', { checkOrigin: ['https://app.example/#'] }, /write "https:\/\/app\.example"/],
  ['a user', { checkOrigin: ['https://me:hush@app.example'] }, /write "https:\/\/app\.example"/],
  ['a WebSocket URL', { checkOrigin: ['wss://app.example'] }, /write "https:\/\/app\.example"/],
  [
    'a wildcard',
    { checkOrigin: ['https://*.app.example'] },
    /RegExp: \/\^https:\\\/\\\/\[\^\.\]\+\\\.app\\\.example\$\//,
  ],
  ['several origins in one string', { checkOrigin: ['https://a.example, https://b.example'] }, /origins/],
  ['an empty string', { checkOrigin: [''] }, /origins.*""/],
  ['undefined, from the environment', { checkOrigin: [undefined] }, /origins.*undefined/],
  ['a URL object', { checkOrigin: [new URL('https://app.example')] }, /origins.*class URL/],
]

const webSocketCases: Case[] = [
  ['null', { webSocket: null }, /webSocket.*null/],
  ['true', { webSocket: true }, /webSocket.*true/],
  ['a server', { webSocket: { server: http.createServer() } }, /webSocket\.server.*attach\(server\)/],
  ['noServer', { webSocket: { noServer: true } }, /webSocket\.noServer.*attach\(server\)/],
  ['a path', { webSocket: { path: '/ws' } }, /webSocket\.path.*app\.use\(path/],
  ['a port', { webSocket: { port: 8080 } }, /webSocket\.port.*app\.listen/],
  ['maxPayload', { webSocket: { maxPayload: 1024 } }, /webSocket\.maxPayload.*limits\.messageBytes/],
  ['clientTracking', { webSocket: { clientTracking: true } }, /webSocket\.clientTracking.*stats/],
  ['verifyClient', { webSocket: { verifyClient: () => true } }, /webSocket\.verifyClient.*canConnect/],
  ['an option that only ws 8 has', { webSocket: { autoPong: false } }, /webSocket\.autoPong.*ws 7/],
  ['an option that ws does not have', { webSocket: { compression: true } }, /webSocket\.compression/],
  ['text for compression', { webSocket: { perMessageDeflate: 'yes' } }, /perMessageDeflate.*"yes"/],
  ['null for compression', { webSocket: { perMessageDeflate: null } }, /perMessageDeflate.*null/],
  [
    'an unknown option of compression',
    { webSocket: { perMessageDeflate: { level: 1 } } },
    /perMessageDeflate\.level.*zlibDeflateOptions/,
  ],
  [
    'compression with a context',
    { webSocket: { perMessageDeflate: { serverNoContextTakeover: false } } },
    /serverNoContextTakeover.*true/,
  ],
  ['a subprotocol', { webSocket: { handleProtocols: 'one' } }, /handleProtocols.*"one"/],
]

describe('options', () => {
  it.each([
    ...cases,
    ...redisCases,
    ...originCases.map(([problem, ...rest]): Case => [`an allowed origin: ${problem}`, ...rest]),
    ...webSocketCases.map(([problem, ...rest]): Case => [`for the WebSocket server: ${problem}`, ...rest]),
  ])('%s is refused at once, and the error says what is expected', (_, options, message) => {
    const refusal = refusalOf(options)
    expect(refusal).toBeInstanceOf(BroadcasterError)
    expect(refusal).toMatchObject({ code: 'invalidOption', message: expect.stringMatching(message) })
  })

  it('never appear with their password in an error message', () => {
    for (const redis of [
      'redis://me:hush#@localhost',
      'http://me:hush@localhost',
      'redis://:hu/sh@hush@x',
      'redis://:%hush@x',
    ]) {
      expect(String(refusalOf({ redis }))).toMatch(/invalid|expected/)
      expect(String(refusalOf({ redis }))).not.toMatch(/hush|hu\/sh/)
    }
  })

  it('never appear with their secret in an error message', () => {
    expect(String(refusalOf({ secret: 'hush' }))).not.toMatch(/hush/)
  })

  it('can all be left out or undefined', async () => {
    const none: Record<keyof BroadcasterOptions, undefined> = {
      canConnect: undefined,
      canSubscribe: undefined,
      channels: undefined,
      checkOrigin: undefined,
      addressOf: undefined,
      redis: undefined,
      pubSub: undefined,
      controlChannel: undefined,
      controlNamespace: undefined,
      secret: undefined,
      timeout: undefined,
      pollTime: undefined,
      recovery: undefined,
      limits: undefined,
      webSocket: undefined,
      logger: undefined,
      refusalLevel: undefined,
    }
    const live = broadcaster({ ...(none as object), redis: false })
    await live.ready()
    await live.close()
  })

  it.each<[what: string, options: BroadcasterOptions]>([
    [
      'Infinity for every limit',
      {
        limits: {
          messageBytes: Infinity,
          authBytes: Infinity,
          channelBytes: Infinity,
          channelsPerConnection: Infinity,
          connections: Infinity,
          authTimeout: Infinity,
          bufferedBytes: Infinity,
        },
      },
    ],
    [
      'Infinity for everything of recovery',
      {
        recovery: { window: Infinity, maxMessages: Infinity, maxBytes: Infinity, maxTotalBytes: Infinity },
      },
    ],
    ['a window of a month, which is too long for timers', { recovery: { window: 30 * 86_400_000 } }],
    ['the longest times', { timeout: tooLong - 1, limits: { authTimeout: tooLong - 1 } }],
    [
      'undefined among limits',
      { limits: { authBytes: undefined }, recovery: { window: undefined } } as object,
    ],
    ['undefined among options of ws', { webSocket: { perMessageDeflate: undefined } } as object],
    ['a poll time of 0', { pollTime: 0 }],
    ['an empty list of origins', { checkOrigin: [] }],
    ['console as logger', { logger: console }],
    ['an object of another realm', runInNewContext('({ limits: { connections: 5 } })') as object],
  ])('may be: %s', async (_, options) => {
    const warnings: Error[] = []
    const hear = (warning: Error) => warnings.push(warning)
    process.on('warning', hear)
    try {
      const live = broadcaster({ ...options, redis: false })
      await live.ready()
      await live.close()
      // Node warns of a timer that overflows in the next turn of its event loop.
      await new Promise((resolve) => setImmediate(resolve))
      expect(warnings).toEqual([])
    } finally {
      process.off('warning', hear)
    }
  })
})
