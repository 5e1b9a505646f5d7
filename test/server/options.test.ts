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
  ['no object', null, /object of options, got null/],
  ['the path', '/broadcast', /app\.use\(path/],
  ['a list', [], /object of options, got a list/],
  ['an application', express(), /object of options/],
  ['a server', http.createServer(), /attach\(server\)/],
  ['an unknown option', { pollTimeMs: 5 }, /pollTimeMs/],
  ['an unknown limit', { limits: { bytes: 5 } }, /limits\.bytes/],
  ['an unknown recovery option', { recovery: { seconds: 5 } }, /recovery\.seconds/],

  ['a timeout that is no number', { timeout: '30s' }, /timeout.*"30s"/],
  ['a timeout of nothing', { timeout: 0 }, /timeout.*0/],
  ['a negative timeout', { timeout: -1 }, /timeout.*-1/],
  ['a timeout that is not a number', { timeout: Number.NaN }, /timeout.*NaN/],
  ['a timeout in parts of a ms, which Redis refuses', { timeout: 1000.5 }, /timeout.*1000\.5/],
  ['a timeout beyond what timers know', { timeout: tooLong }, /timeout.*2147483647.*2147483648/],
  ['a secret that is too short', { secret: 'hush' }, /secret.*16 characters/],
  ['no secret at all', { secret: [] }, /secret.*16 characters/],
  [
    'a secret from an environment without it',
    { secret: ['a'.repeat(16), undefined] },
    /secret.*16 characters/,
  ],
  ['a timeout without end', { timeout: Infinity }, /timeout.*Infinity/],
  ['a timeout of no value', { timeout: null }, /timeout.*null/],
  ['a big integer as timeout', { timeout: 30_000n }, /timeout.*30000n/],
  ['a date as timeout', { timeout: new Date(5) }, /timeout.*Date/],
  ['a poll time as long as the timeout', { timeout: 500, pollTime: 500 }, /pollTime.*500/],
  ['a negative poll time', { pollTime: -1 }, /pollTime/],
  ['a poll time without end', { pollTime: Infinity }, /pollTime.*Infinity/],
  ['a poll time that is text', { pollTime: '500' }, /pollTime.*"500"/],
  ['a poll time in parts of a ms', { pollTime: 0.5 }, /pollTime.*0\.5/],
  ['a poll time of no value', { pollTime: null }, /pollTime.*null/],

  ['a limit of nothing', { limits: { connections: 0 } }, /limits\.connections/],
  ['a limit that is text', { limits: { messageBytes: '1mb' } }, /limits\.messageBytes/],
  ['a limit of no value', { limits: { authBytes: null } }, /limits\.authBytes.*null/],
  ['half a channel', { limits: { channelsPerConnection: 0.5 } }, /limits\.channelsPerConnection.*0\.5/],
  ['less than nothing', { limits: { bufferedBytes: -Infinity } }, /limits\.bufferedBytes.*-Infinity/],
  ['a time limit beyond what timers know', { limits: { authTimeout: tooLong } }, /limits\.authTimeout/],
  ['no limits', { limits: null }, /limits.*null/],
  ['one limit for everything', { limits: 1000 }, /limits.*messageBytes.*1000/],
  ['a list of limits', { limits: [1000] }, /limits.*a list/],
  ['false for limits', { limits: false }, /limits.*false/],

  ['a window of nothing', { recovery: { window: 0 } }, /recovery\.window/],
  ['a window that is text', { recovery: { window: '30s' } }, /recovery\.window.*"30s"/],
  ['half a message', { recovery: { maxMessages: 1.5 } }, /recovery\.maxMessages.*1\.5/],
  ['true for recovery', { recovery: true }, /recovery.*false.*on by default.*true/],
  ['no value for recovery', { recovery: null }, /recovery.*null/],
  ['a number for recovery', { recovery: 30_000 }, /recovery.*30000/],

  ['a callback that is none', { canConnect: true }, /canConnect/],
  ['another', { canSubscribe: 'everyone' }, /canSubscribe/],
  ['no value for a callback', { canConnect: null }, /canConnect.*null/],

  ['an empty control channel', { controlChannel: '' }, /controlChannel/],
  ['a control channel that is no text', { controlChannel: 5 }, /controlChannel/],
  ['a control channel that UTF-8 can not carry', { controlChannel: '\uD83D' }, /controlChannel.*UTF-8/],
  ['a namespace that is no text', { controlNamespace: 5 }, /controlNamespace/],
  ['a namespace of no value', { controlNamespace: null }, /controlNamespace.*null/],

  ['a logger without error()', { logger: { info() {} } }, /logger/],
  ['no value for a logger', { logger: null }, /logger.*null/],
  ['false for a logger', { logger: false }, /logger/],
]

const redisCases: Case[] = [
  ['pub/sub on Redis without Redis', { redis: false, pubSub: 'redis://localhost:6379' }, /pubSub/],
  ['true for Redis', { redis: true }, /redis/],
  ['a number for Redis', { redis: 6379 }, /redis/],
  ['no value for Redis', { redis: null }, /redis.*null/],
  ['no text for Redis', { redis: '' }, /redis.*""/],
  ['a host without a scheme', { redis: 'localhost:6379' }, /redis.*"localhost:6379"/],
  ['an address that is no Redis URL', { redis: 'http://localhost:6379' }, /redis/],
  ['a password with #', { redis: 'redis://:se#cret@localhost:6379' }, /encodeURIComponent/],
  ['a password with /', { redis: 'rediss://me:se/cret@localhost:6379' }, /encodeURIComponent/],
  ['a password with %', { redis: 'redis://:10%off@localhost:6379' }, /encodeURIComponent/],
  ['a port that is none', { redis: 'redis://localhost:port' }, /redis:\/\/localhost:port/],
  ['a URL object', { redis: new URL('redis://localhost:6379') }, /url\.href/],
  ['a client of node-redis', { redis: new RedisClient() }, /node-redis.*class RedisClient/],
  ['the same for pub/sub', { redis: 'redis://localhost', pubSub: new RedisClient() }, /pubSub.*node-redis/],
  ['one that was not awaited', { redis: Promise.resolve(new RedisClient()) }, /awaited/],
  ['a class', { redis: RedisClient }, /redis.*the function RedisClient/],
  ["node-redis' url", { redis: { url: 'redis://localhost:6379' } }, /redis\.url.*the URL itself/],
  ["node-redis' socket", { redis: { socket: { host: 'localhost' } } }, /redis\.socket.*host, port/],
  ["node-redis' database", { redis: { host: 'localhost', database: 3 } }, /redis\.database.*db/],
  ['nodes of a Cluster', { redis: [{ host: 'localhost', port: 7000 }] }, /new Cluster/],
  ['options of a Cluster', { redis: { rootNodes: [{ url: 'redis://localhost' }] } }, /new Cluster/],
  ['a map', { redis: new Map([['host', 'localhost']]) }, /redis.*class Map/],
  ['a port that is not a number', { redis: { port: Number('x') } }, /redis\.port.*NaN/],
  ['a port that is too high', { redis: { port: 99_999 } }, /redis\.port.*99999/],
  ['a host that is none', { redis: { host: 127 } }, /redis\.host.*127/],
]

const originCases: Case[] = [
  ['one that is no list', { checkOrigin: 'https://app.example' }, /write \["https:\/\/app\.example"\]/],
  ['a pattern that is no list', { checkOrigin: /app/ }, /write \[\/app\/\]/],
  ['true', { checkOrigin: true }, /list of origins or a function, got true/],
  ['no value', { checkOrigin: null }, /checkOrigin.*null/],
  ['an object', { checkOrigin: { origin: '*' } }, /checkOrigin.*an object/],
  ['everyone', { checkOrigin: ['*'] }, /checkOrigin: \(\) => true/],
  ['nobody in particular', { checkOrigin: ['null'] }, /'null'.*function/],
  ['no scheme', { checkOrigin: ['app.example'] }, /write "https:\/\/app\.example"/],
  ['no scheme, with a port', { checkOrigin: ['localhost:3000'] }, /write "https:\/\/localhost:3000"/],
  ['no scheme, with slashes', { checkOrigin: ['//app.example'] }, /write "https:\/\/app\.example"/],
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
  ['several in one', { checkOrigin: ['https://a.example, https://b.example'] }, /origins/],
  ['no text', { checkOrigin: [''] }, /origins.*""/],
  ['undefined, from an environment', { checkOrigin: [undefined] }, /origins.*undefined/],
  ['a URL object', { checkOrigin: [new URL('https://app.example')] }, /origins.*class URL/],
]

const webSocketCases: Case[] = [
  ['no value', { webSocket: null }, /webSocket.*null/],
  ['true', { webSocket: true }, /webSocket.*true/],
  ['a server', { webSocket: { server: http.createServer() } }, /webSocket\.server.*attach\(server\)/],
  ['no server', { webSocket: { noServer: true } }, /webSocket\.noServer.*attach\(server\)/],
  ['a path', { webSocket: { path: '/ws' } }, /webSocket\.path.*app\.use\(path/],
  ['a port', { webSocket: { port: 8080 } }, /webSocket\.port.*app\.listen/],
  ['a size', { webSocket: { maxPayload: 1024 } }, /webSocket\.maxPayload.*limits\.messageBytes/],
  ['tracking', { webSocket: { clientTracking: true } }, /webSocket\.clientTracking.*stats/],
  ['verifying', { webSocket: { verifyClient: () => true } }, /webSocket\.verifyClient.*canConnect/],
  ['what only ws 8 knows', { webSocket: { autoPong: false } }, /webSocket\.autoPong.*ws 7/],
  ['what ws does not know', { webSocket: { compression: true } }, /webSocket\.compression/],
  ['compression by text', { webSocket: { perMessageDeflate: 'yes' } }, /perMessageDeflate.*"yes"/],
  ['no value for compression', { webSocket: { perMessageDeflate: null } }, /perMessageDeflate.*null/],
  [
    'what compression does not know',
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
  ])('%s is refused at once, saying what was expected', (_, options, message) => {
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
    ['a window of a month, for which no timer waits', { recovery: { window: 30 * 86_400_000 } }],
    ['the longest times', { timeout: tooLong - 1, limits: { authTimeout: tooLong - 1 } }],
    [
      'undefined among limits',
      { limits: { authBytes: undefined }, recovery: { window: undefined } } as object,
    ],
    ['undefined among options of ws', { webSocket: { perMessageDeflate: undefined } } as object],
    ['no time to gather messages', { pollTime: 0 }],
    ['no origins at all', { checkOrigin: [] }],
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
