import {
  authData,
  cutReason,
  parseClientMessage,
  readClientMessage,
  type Parsed,
} from '@broadcaster/protocol'
import { describe, expect, it } from 'vitest'

const message = (fields: object, token?: string): Parsed =>
  ({ kind: 'message', message: fields, token }) as Parsed
const unknown: Parsed = { kind: 'unknown', token: undefined }

describe('parsing a message of a client', () => {
  it.each<[text: string, parsed: Parsed]>([
    ['{"__type":"auth"}', message({ __type: 'auth' })],
    ['{"__type":"auth","user":"x","__v":1}', message({ __type: 'auth', user: 'x', __v: 1 })],
    ['{"__type":"auth","__token":"t"}', message({ __type: 'auth', __token: 't' }, 't')],
    [' \n{"__\\u0074ype":"ping"}\n', message({ __type: 'ping' })],
    ['{"__type":"ping","x":1}', message({ __type: 'ping' })],
    ['{"__type":"subscribe","channel":"a"}', message({ __type: 'subscribe', channel: 'a' })],
    ['{"__type":"subscribe","channel":""}', message({ __type: 'subscribe', channel: '' })],
    ['{"__type":"subscribe","channel":"a b"}', message({ __type: 'subscribe', channel: 'a b' })],
    [
      '{"__type":"subscribe","channel":"a","position":"p"}',
      message({ __type: 'subscribe', channel: 'a', position: 'p' }),
    ],
    ['{"__type":"subscribe","channel":"a","position":5}', message({ __type: 'subscribe', channel: 'a' })],
    [
      '{"__type":"subscribe","channel":"a","__token":"t"}',
      message({ __type: 'subscribe', channel: 'a' }, 't'),
    ],
    ['{"__type":"subscribe","channel":"a","__token":""}', message({ __type: 'subscribe', channel: 'a' })],
    ['{"__type":"subscribe","channel":"a","__token":5}', message({ __type: 'subscribe', channel: 'a' })],
    [
      '{"__type":"unsubscribe","channel":"a","position":"p"}',
      message({ __type: 'unsubscribe', channel: 'a' }),
    ],
    ['{"__type":"poll"}', message({ __type: 'poll', seq: '' })],
    ['{"__type":"poll","seq":"7"}', message({ __type: 'poll', seq: '7' })],
    ['{"__type":"poll","seq":7}', message({ __type: 'poll', seq: '7' })],
    ['{"__type":"poll","seq":null}', message({ __type: 'poll', seq: '' })],
    [
      '{"__type":"poll","positions":{"a":"p","b":5}}',
      message({ __type: 'poll', seq: '', positions: { a: 'p' } }),
    ],
    [
      `{"__type":"subscribe","channel":"a","position":"${'p'.repeat(64)}"}`,
      message({ __type: 'subscribe', channel: 'a', position: 'p'.repeat(64) }),
    ],
    [
      `{"__type":"subscribe","channel":"a","position":"${'p'.repeat(65)}"}`,
      message({ __type: 'subscribe', channel: 'a', position: '' }),
    ],
    [
      `{"__type":"poll","positions":{"a":"${'p'.repeat(65)}"}}`,
      message({ __type: 'poll', seq: '', positions: { a: '' } }),
    ],
    ['{"__type":"poll","positions":["p"]}', message({ __type: 'poll', seq: '' })],
    ['{"__type":"poll","positions":null}', message({ __type: 'poll', seq: '' })],
  ])('reads %s', (text, parsed) => {
    expect(parseClientMessage(text)).toStrictEqual(parsed)
  })

  it.each([
    'null',
    '{}',
    '{"__type":"bogus"}',
    '{"__type":5}',
    '{"__type":null}',
    '{"__type":{"x":1}}',
    '{"__type":"authOk"}',
    '{"__type":"message","channel":"a","body":"b"}',
    '{"__type":"constructor"}',
    '{"__proto__":{"__type":"ping"}}',
    '{"type":"ping"}',
    '{"__Type":"ping"}',
  ])('reports %s as an unknown message', (text) => {
    expect(parseClientMessage(text)).toEqual(unknown)
  })

  it.each(['subscribe', 'unsubscribe'] as const)('reports that %s has no channel', (type) => {
    for (const channel of [undefined, null, 5, true, ['a'], { a: 1 }]) {
      const text = JSON.stringify({ __type: type, channel, __token: 't' })
      expect(parseClientMessage(text)).toEqual({ kind: 'noChannel', type, token: 't' })
    }
  })

  it.each([
    '',
    '   ',
    'not json',
    '{"__type":"auth"',
    "{'__type':'auth'}",
    '{"__type":"auth"} trailing',
    '{"__type":"auth"}{"__type":"auth"}',
    '{"__type":"auth",}',
    '\uFEFF{"__type":"auth"}',
    '[]',
    '[{"__type":"auth"}]',
    '"auth"',
    '42',
    'true',
    'NaN',
  ])('refuses %j with a reason', (text) => {
    expect(parseClientMessage(text)).toEqual({
      kind: 'bad',
      reason: expect.stringMatching(/^(Invalid JSON: |Expected a JSON object, got )/),
    })
  })

  it('says why, if it is not JSON', () => {
    expect(parseClientMessage('not json')).toEqual({
      kind: 'bad',
      reason: expect.stringMatching(/^Invalid JSON: ./),
    })
  })

  it('says what it got if it is not an object', () => {
    expect(readClientMessage([])).toEqual({ kind: 'bad', reason: 'Expected a JSON object, got array' })
    expect(readClientMessage('x')).toEqual({ kind: 'bad', reason: 'Expected a JSON object, got string' })
  })

  it('does not use fields of the message before', () => {
    parseClientMessage('{"__type":"subscribe","channel":"a","__token":"t"}')
    expect(parseClientMessage('{}')).toEqual(unknown)
    expect(parseClientMessage('{"__type":"subscribe"}')).toMatchObject({
      kind: 'noChannel',
      token: undefined,
    })
  })

  it('treats a key named __proto__ as an ordinary key', () => {
    const text = '{"__type":"poll","positions":{"__proto__":"p","constructor":"q"}}'
    const parsed = parseClientMessage(text) as { message: { positions: object } }
    expect(Object.entries(parsed.message.positions)).toEqual([
      ['__proto__', 'p'],
      ['constructor', 'q'],
    ])
    expect(parseClientMessage('{"__proto__":{"__type":"poll"}}')).toEqual(unknown)
    expect(({} as Record<string, unknown>)['p']).toBeUndefined()
  })
})

describe('auth data', () => {
  it('is the message without the reserved keys', () => {
    const auth = { __type: 'auth', __v: 1, __client: 'c', __anything: true, _one: 1, user: { __inner: 2 } }
    expect(authData(auth)).toEqual({ _one: 1, user: { __inner: 2 } })
  })
})

describe('close reasons', () => {
  it.each([
    ['short', 'short'],
    ['', ''],
    ['x'.repeat(123), 'x'.repeat(123)],
    ['x'.repeat(124), 'x'.repeat(123)],
    ['\u0080'.repeat(62), '\u0080'.repeat(61)],
    ['\u0800'.repeat(42), '\u0800'.repeat(41)],
    ['\u{10000}'.repeat(31), '\u{10000}'.repeat(30)],
    ['\u00e9'.repeat(62), '\u00e9'.repeat(61)],
    ['\u20ac'.repeat(42), '\u20ac'.repeat(41)],
    ['\u{1F600}'.repeat(31), '\u{1F600}'.repeat(30)],
  ])('are cut to 123 bytes between characters', (reason, cut) => {
    expect(cutReason(reason)).toBe(cut)
    expect(Buffer.byteLength(cutReason(reason))).toBeLessThanOrEqual(123)
  })
})
