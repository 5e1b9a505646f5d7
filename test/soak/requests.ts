import type { Random } from '../simulation/random.ts'
import { message } from './messages.ts'
import { bytes, tokenPlaces } from './words.ts'

/** The mount paths of the broadcasters in `application.ts`. */
export const mounts = [
  '/live',
  '/memory',
  '/utf8/memory',
  '/slow/memory',
  '/json/memory',
  '/text/memory',
  '/wrapped/memory',
  '/router/a/deep',
  '/small',
] as const

/** The other routes of the application. */
export const routes = [
  '/hello',
  '/never',
  '/late',
  '/login',
  '/large',
  '/upload',
  '/throws',
  '/nowhere',
  '/',
] as const

/** The paths of WebSockets of neighbours. */
export const others = [
  '/raw',
  '/theirs/1',
  '/socket.io/?EIO=4&transport=websocket',
  '/theirs/nobody',
] as const

type Parts = {
  readonly method?: string
  readonly target?: string
  readonly headers?: readonly string[]
  readonly body?: Buffer
}

/** A request. Most of its parts are correct in most cases. */
export function request(random: Random, parts: Parts = {}): Buffer {
  const method = parts.method ?? methodName(random)
  const hasBody = parts.body !== undefined || !['GET', 'HEAD', 'OPTIONS'].includes(method)
  const body = hasBody ? (parts.body ?? Buffer.from(message(random, random.pick(tokenPlaces)))) : undefined
  const lines = [
    `${method} ${parts.target ?? target(random)} ${version(random)}`,
    ...host(random),
    ...(parts.headers ?? headers(random)),
  ]
  const [framing, framed] = body === undefined ? [[], Buffer.alloc(0)] : framedBody(random, body)
  const separator = random.chance(0.99) ? '\r\n' : '\n'
  const head = [...lines, ...framing, '', ''].join(separator)
  return Buffer.concat([Buffer.from(head, 'latin1'), framed])
}

/** A correct request. */
export function plainRequest(
  method: string,
  path: string,
  body = '',
  headers: readonly string[] = [],
): Buffer {
  const length = method === 'GET' ? [] : [`Content-Length: ${Buffer.byteLength(body)}`]
  const lines = [`${method} ${path} HTTP/1.1`, 'Host: 127.0.0.1', ...length, ...headers]
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n${body}`)
}

export function target(random: Random): string {
  const path = random.chance(0.6) ? random.pick(mounts) : random.pick([...routes, ...others])
  const kind = random.weighted({ plain: 12, variant: 5, absolute: 1, odd: 1, long: 0.3 })
  switch (kind) {
    case 'plain':
      return path
    case 'variant':
      return random.pick([
        `${path}/`,
        `${path}//`,
        `/${path}`,
        `${path}?x=1&__proto__=2&x[]=3`,
        `${path}/health`,
        `${path}/.websocket`,
        `${path}/../live`,
        path.toUpperCase(),
        `${path}#fragment`,
        path.replace(/e/g, '%65'),
        `${path}%2f`,
        `${path}%00`,
        `${path}/%ff%fe`,
        `${path}%`,
        `${path};a=b`,
        path.slice(0, -1),
      ])
    case 'absolute':
      return random.pick([
        `http://127.0.0.1${path}`,
        `http://other.example:99${path}`,
        `http:${path}`,
        `ws://x${path}`,
      ])
    case 'odd':
      return random.pick([
        '*',
        '127.0.0.1:80',
        '?',
        '//',
        '//[',
        'x',
        '/\\..',
        '/%',
        '/\xff',
        'http://[::1',
        'http://',
      ])
    case 'long':
      return `${path}?${'y'.repeat(random.pick([3000, 9000, 17_000]))}`
  }
}

/** The header lines of a WebSocket handshake. With `isGood`, a server accepts them. */
export function handshakeHeaders(random: Random, isGood = false): string[] {
  if (isGood) return [...goodHandshake, ...(random.chance(0.5) ? [pick(random, extensions)] : [])]
  const upgrade = pick(random, upgrades)
  const lines = [`Upgrade: ${upgrade}`, `Connection: ${pick(random, connections)}`]
  if (random.chance(0.9)) lines.push(`Sec-WebSocket-Key: ${pick(random, keys)}`)
  if (random.chance(0.9))
    lines.push(`Sec-WebSocket-Version: ${random.weighted({ '13': 9, '8': 1, '99': 1, x: 1 })}`)
  if (random.chance(0.4)) lines.push(pick(random, extensions))
  if (random.chance(0.2)) lines.push(`Sec-WebSocket-Protocol: ${pick(random, protocols)}`)
  if (random.chance(0.1)) lines.push('Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==')
  if (upgrade.includes('h2c')) lines.push('HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA')
  if (random.chance(0.2)) lines.push(...headers(random))
  return random.chance(0.1) ? (random.chance(0.5) ? lines.reverse() : lines.slice(1)) : lines
}

const goodHandshake = [
  'Upgrade: websocket',
  'Connection: Upgrade',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Version: 13',
]
const upgrades = [
  'websocket',
  'websocket',
  'WebSocket',
  'h2c',
  'foo',
  'websocket, h2c',
  'TLS/1.0',
  '',
  'websocket/13',
]
const connections = [
  'Upgrade',
  'upgrade',
  'keep-alive, Upgrade',
  'close',
  'keep-alive',
  'Upgrade, HTTP2-Settings',
  '',
]
const keys = [
  'dGhlIHNhbXBsZSBub25jZQ==',
  'dGhlIHNhbXBsZSBub25jZQ==',
  '',
  'short',
  'x'.repeat(400),
  '=',
  '\t ',
]
const extensions = [
  'Sec-WebSocket-Extensions: permessage-deflate',
  'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits; server_max_window_bits=8',
  'Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=99',
  'Sec-WebSocket-Extensions: permessage-deflate; a; a; a=1; a="',
  'Sec-WebSocket-Extensions: permessage-deflate, permessage-deflate; server_no_context_takeover',
  'Sec-WebSocket-Extensions: x-webkit-deflate-frame, constructor, __proto__; toString=1',
  `Sec-WebSocket-Extensions: ${'permessage-deflate,'.repeat(300)}`,
]
// The last value once made the pattern for this header take exponential time.
const protocols = ['a', 'a, b', 'a,a', '', ',', '"', `b${' '.repeat(5000)}x`]

function methodName(random: Random): string {
  return random.weighted({
    GET: 6,
    POST: 8,
    OPTIONS: 2,
    HEAD: 1,
    PUT: 1,
    DELETE: 1,
    TRACE: 0.3,
    CONNECT: 0.5,
    PRI: 0.3,
    'M-SEARCH': 0.3,
    QUERY: 0.2,
    BREW: 0.3,
    get: 0.2,
    '': 0.1,
  })
}

function version(random: Random): string {
  return random.weighted({
    'HTTP/1.1': 30,
    'HTTP/1.0': 3,
    'HTTP/0.9': 0.3,
    'HTTP/2.0': 0.3,
    'HTTP/9.9': 0.2,
    '': 0.2,
  })
}

function host(random: Random): string[] {
  const kind = random.weighted({ one: 30, none: 1, two: 1, odd: 1 })
  if (kind === 'none') return []
  if (kind === 'two') return ['Host: 127.0.0.1', 'Host: other.example']
  return [kind === 'one' ? 'Host: 127.0.0.1' : `Host: ${random.pick(['', '[', 'a b', 'x:99999', 'é'])}`]
}

function headers(random: Random): string[] {
  return Array.from(
    { length: random.weighted({ '0': 3, '1': 3, '3': 2 }) === '0' ? 0 : random.between(1, 3) },
    () => headerLines(random),
  ).flat()
}

function headerLines(random: Random): string[] {
  return random.pick<() => string[]>([
    () => [
      `Origin: ${random.pick(['http://127.0.0.1', 'null', 'http://evil.example', '', '://', 'http://friend.example'])}`,
    ],
    () => ['Access-Control-Request-Method: POST', 'Access-Control-Request-Headers: content-type, x-a'],
    () => [`Connection: ${pick(random, connections)}`],
    () => [
      `Content-Type: ${random.pick(['application/json', 'text/plain', 'application/x-www-form-urlencoded', 'x', 'text/plain; charset=zzz', 'multipart/form-data; boundary='])}`,
    ],
    () => [`Content-Encoding: ${random.pick(['gzip', 'identity', 'br', 'x', ''])}`],
    () => [`Accept-Encoding: ${random.pick(['gzip', '*', 'gzip;q=0, *;q=-1'])}`],
    () => [`Expect: ${random.pick(['100-continue', '100-continue', '200-ok', ''])}`],
    () => [
      `Cookie: ${random.pick(['connect.sid=s%3Ax.y', 'connect.sid=%', '__proto__=1', '=;;=', 'a'.repeat(4000)])}`,
    ],
    () => [
      `X-Forwarded-For: ${random.pick(['1.2.3.4', "'", '::1, unknown'])}`,
      'X-Forwarded-Proto: https,http',
    ],
    () => ['X-Folded: a', '\tb', ' c'],
    () => ['Transfer-Encoding: chunked', ' , identity'],
    () => ['X-Empty:', 'X-Same: 1', 'x-same: 2', '__proto__: x', 'constructor: y'],
    () => [`X-Huge: ${'z'.repeat(random.pick([4000, 12_000, 20_000]))}`],
    // More headers than a server keeps (`maxHeadersCount`). It may drop important ones.
    () => Array.from({ length: random.pick([60, 500, 2100]) }, (_, i) => `${i.toString(36)}:x`),
    () => ['No colon here'],
    () => [`Bad Name: x`, 'X-Control: a\x01b', 'X-Latin: \xe9'],
    () => ['Range: bytes=0-0,-1,5-', 'If-None-Match: *', 'Keep-Alive: timeout=1'],
    () => ['Upgrade: h2c', 'Connection: Upgrade, HTTP2-Settings', 'HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA'],
    () => ['Upgrade: websocket'],
  ])()
}

/** The headers with the length of the body, and the body. They may not match. */
function framedBody(random: Random, body: Buffer): [string[], Buffer] {
  const { length } = body
  const kind = random.weighted({
    right: 12,
    chunked: 4,
    broken: 2,
    short: 1,
    long: 1,
    both: 1,
    twice: 1,
    odd: 1,
    none: 0.5,
  })
  switch (kind) {
    case 'right':
      return [[`Content-Length: ${length}`], body]
    case 'chunked':
      return [['Transfer-Encoding: chunked'], chunked(random, body)]
    case 'broken':
      return [['Transfer-Encoding: chunked'], brokenChunks(random, body)]
    case 'short':
      return [[`Content-Length: ${length + random.between(1, 500)}`], body]
    case 'long':
      return [[`Content-Length: ${Math.floor(length / 2)}`], body]
    case 'both':
      return [[`Content-Length: ${length}`, 'Transfer-Encoding: chunked'], chunked(random, body)]
    case 'twice':
      return [[`Content-Length: ${length}`, `Content-Length: ${length + random.between(0, 1)}`], body]
    case 'odd':
      return [
        [
          `Content-Length: ${random.pick(['-1', '+1', '0x10', '1e3', '', '9'.repeat(30), '100000000', ' 5 '])}`,
        ],
        body,
      ]
    case 'none':
      return [[], body]
  }
}

function chunked(random: Random, body: Buffer): Buffer {
  const parts: Buffer[] = []
  for (let at = 0; at < body.length;) {
    const size = Math.min(body.length - at, random.between(1, Math.max(1, Math.ceil(body.length / 2))))
    const extension = random.chance(0.1) ? `;a="${'b'.repeat(50)}"` : ''
    parts.push(
      Buffer.from(`${size.toString(16)}${extension}\r\n`),
      body.subarray(at, at + size),
      Buffer.from('\r\n'),
    )
    at += size
  }
  const trailer = random.chance(0.1) ? 'X-Trailer: 1\r\n__proto__: 2\r\n' : ''
  return Buffer.concat([...parts, Buffer.from(`0\r\n${trailer}\r\n`)])
}

function brokenChunks(random: Random, body: Buffer): Buffer {
  const whole = chunked(random, body)
  return random.pick([
    () => whole.subarray(0, random.between(0, whole.length)),
    () => Buffer.concat([Buffer.from('zz\r\n'), body]),
    () => Buffer.concat([Buffer.from('ffffffffffffffffff\r\n'), body]),
    () => Buffer.concat([Buffer.from(`${body.length.toString(16)}\n`), body, Buffer.from('\n0\n\n')]),
    () => Buffer.concat([whole, bytes(random, 20)]),
    () => Buffer.concat([Buffer.from(`1;${'x'.repeat(20_000)}\r\n`), whole]),
  ])()
}

function pick<T>(random: Random, things: readonly T[]): T {
  return random.pick(things)
}
