import type { Random } from '../simulation/random.ts'
import { channelName, clientName, behaviors, position, tokenPlaces } from './words.ts'

/** Messages of our protocol as text: correct ones, wrong ones, and texts that are not messages. `token` is for long-poll. */
export function message(random: Random, token?: string): string {
  const kind = random.weighted({
    auth: 2,
    subscribe: 6,
    unsubscribe: 2,
    poll: 2,
    ping: 1,
    strange: 2,
    reserved: 1,
    noJson: 1,
  })
  switch (kind) {
    case 'auth':
      return asText(auth(random), token)
    case 'subscribe':
      return asText(subscribe(random), token)
    case 'unsubscribe':
      return asText({ __type: 'unsubscribe', channel: channelName(random) }, token)
    case 'poll':
      return asText(poll(random), token)
    case 'ping':
      return asText({ __type: 'ping' }, token)
    case 'strange':
      return asText(strange(random), token)
    case 'reserved':
      return reserved(random, token)
    case 'noJson':
      return noJson(random)
  }
}

export function auth(random: Random): object {
  return {
    __type: 'auth',
    ...(random.chance(0.7) && { __v: random.weighted({ '1': 8, '0': 1, '2': 1 }) === '1' ? 1 : any(random) }),
    ...(random.chance(0.3) && { __client: clientName(random), __generation: random.between(0, 5) }),
    ...(random.chance(0.1) && { __previous: random.pick(tokenPlaces) }),
    ...(random.chance(0.2) && { behavior: random.pick(behaviors) }),
    ...(random.chance(0.2) && { data: any(random) }),
  }
}

/** An `auth` that is accepted. */
export function goodAuth(random: Random): object {
  return { __type: 'auth', ...(random.chance(0.7) && { __v: 1 }) }
}

export function subscribe(random: Random): object {
  const isResuming = random.chance(0.3)
  return {
    __type: 'subscribe',
    channel: channelName(random),
    ...(isResuming && { position: position(random) }),
  }
}

export function poll(random: Random): object {
  return {
    __type: 'poll',
    seq: random.pick<unknown>(['0', '1', '2', 7, '', undefined, null, {}, 's'.repeat(3000)]),
    ...(random.chance(0.4) && { positions: positions(random) }),
  }
}

function positions(random: Random): unknown {
  if (random.chance(0.2)) return any(random)
  const count = random.between(0, 5)
  return Object.fromEntries(Array.from({ length: count }, () => [channelName(random), position(random)]))
}

/** JSON of the wrong shape. */
function strange(random: Random): unknown {
  return random.pick<unknown>([
    null,
    [],
    {},
    0,
    'auth',
    { __type: any(random) },
    { __type: 'subscribe' },
    { __type: 'subscribe', channel: any(random) },
    { __type: 'unsubscribe', channel: any(random) },
    { __type: 'authOk', __token: 'x' },
    { __type: 'message', channel: 'news', body: 'x' },
    { __type: 'toString' },
    { __type: '__proto__' },
    { type: 'subscribe', channel: 'news' },
  ])
}

/** It is written as text, because the same object literal would set a prototype. */
function reserved(random: Random, token: string | undefined): string {
  const rest = token === undefined ? '' : `,"__token":"${token}"`
  return random.pick([
    `{"__proto__":{"__type":"auth"}${rest}}`,
    `{"__type":"auth","__proto__":{"isAdmin":true}${rest}}`,
    `{"__type":"subscribe","channel":"room-1","__proto__":null${rest}}`,
    `{"__type":"auth","constructor":{"prototype":{"x":1}},"toString":1,"hasOwnProperty":1${rest}}`,
    `{"__type":"poll","seq":"1","positions":{"__proto__":"1.1","constructor":"1.1"}${rest}}`,
    `{"__type":"ping","__type":"subscribe","channel":"a","channel":"b"${rest}}`,
    `{"__type":"auth","__v":1e400,"__generation":-0,"__client":"\\ud800"${rest}}`,
    `{"__type":"auth","deep":${nested('{"a":', '1', '}', random.between(10, 12_000))}${rest}}`,
    `{"__type":"subscribe","channel":${nested('[', '', ']', random.between(10, 30_000))}${rest}}`,
    `{"__type":"auth","behavior":"context","deep":${nested('[', '', ']', random.between(10, 8000))}${rest}}`,
  ])
}

function noJson(random: Random): string {
  return random.pick([
    '',
    '{',
    'nul',
    '{"__type":"auth"} x',
    '\ufeff{}',
    '{"__type":"auth",}',
    "{'__type':'auth'}",
    'NaN',
    '\u0000',
    '['.repeat(random.between(1, 50_000)),
    '"'.repeat(random.between(1, 500)),
  ])
}

function any(random: Random): unknown {
  return random.pick<unknown>([
    1,
    -1.5,
    '',
    'x'.repeat(random.between(1, 8000)),
    true,
    null,
    [],
    {},
    [[], {}],
    { length: -1 },
    { toString: 1, toJSON: 1 },
    '1',
  ])
}

function nested(open: string, inner: string, close: string, depth: number): string {
  return open.repeat(depth) + inner + close.repeat(depth)
}

function asText(value: unknown, token: string | undefined): string {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
  return JSON.stringify(token !== undefined && isObject ? { ...value, __token: token } : value)
}
