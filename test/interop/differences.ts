import { expect } from 'vitest'

/**
 * Where this kit answers otherwise than the original did, on purpose (PROTOCOL.md, "Where this differs from the
 * original"). `to` is what the client sent; replay expects `ours` in place of what was recorded, and fails if a difference
 * is declared here that no recording shows.
 */
export type Difference = {
  readonly transcript: string
  /** Body of the frame or request that is answered differently; before it what the path has below the mount. */
  readonly to: string
  readonly original: unknown
  /** A message, an array of them, or a close code. */
  readonly ours: unknown
  readonly status?: number
  readonly why: string
}

const noChannel = (type: 'subscribe' | 'unsubscribe') => ({
  __type: `${type}Error`,
  channel: '',
  reason: 'Channel expected',
})
const missingChannel = 'S4, U1: a missing channel is an error, not the channel with the empty name'
const noInheritance = 'W5: fields of a frame do not stay for the next'
const noTrailing = 'W3: data after a complete object is an error'
const authExpected = [{ __type: 'authError', reason: 'Auth expected' }]

export const differences: readonly Difference[] = [
  ...[
    '{"__type":"subscribe"}',
    '{"__type":"subscribe","channel":null}',
    '{"__type":"subscribe","channel":5}',
  ].map((to) => ({
    transcript: 'ws-missing-channel',
    to,
    original: { __type: 'subscribeOk', channel: '' },
    ours: noChannel('subscribe'),
    why: missingChannel,
  })),
  {
    transcript: 'ws-missing-channel',
    to: '{"__type":"subscribe","channel":["a"]}',
    original: { __type: 'subscribeOk', channel: '' },
    ours: noChannel('subscribe'),
    why: missingChannel,
  },
  {
    transcript: 'ws-missing-channel',
    to: '{"__type":"unsubscribe"}',
    original: { __type: 'unsubscribeOk', channel: '' },
    ours: noChannel('unsubscribe'),
    why: missingChannel,
  },
  ...['', ',"channel":null', ',"channel":5'].map((channel) => ({
    transcript: 'lp-subscribe-cycle',
    to: `{"__type":"subscribe"${channel},"__token":"<token>"}`,
    original: [{ __type: 'subscribeOk', channel: '' }],
    ours: [noChannel('subscribe')],
    status: 200,
    why: missingChannel,
  })),
  {
    transcript: 'ws-sticky-fields',
    to: '{"__type":"unsubscribe"}',
    original: { __type: 'unsubscribeOk', channel: 'first' },
    ours: noChannel('unsubscribe'),
    why: noInheritance,
  },
  {
    transcript: 'ws-sticky-fields',
    to: '{"channel":"second"}',
    original: { __type: 'unsubscribeOk', channel: 'second' },
    ours: { __type: 'unknown' },
    why: noInheritance,
  },
  ...['second', ''].map((channel) => ({
    transcript: 'ws-sticky-fields',
    to: '{"__type":"subscribe"}',
    original: { __type: 'subscribeOk', channel },
    ours: noChannel('subscribe'),
    why: noInheritance,
  })),
  {
    transcript: 'ws-sticky-fields',
    to: '{}',
    original: { __type: 'subscribeOk', channel: 'second' },
    ours: { __type: 'unknown' },
    why: noInheritance,
  },
  {
    transcript: 'ws-first-frame-invalid-json',
    to: '{"__type":"auth"} trailing',
    original: { __type: 'authOk' },
    ours: 4400,
    why: noTrailing,
  },
  {
    transcript: 'ws-message-bodies',
    to: '{"__type":"subscribe","channel":"a"}',
    original: { __type: 'message', channel: 'a', body: 'a\ufffd\ufffdb' },
    ours: { __type: 'message', channel: 'a', body: 'a\ufffdb' },
    why: 'bytes that are no UTF-8 are replaced as browsers do it, one U+FFFD for a character that was cut off',
  },
  ...['{"__type":"auth"} trailing', '{"__type":"auth"}{"__type":"auth","bad":1}'].map((to) => ({
    transcript: 'lp-odd-bodies',
    to,
    original: [{ __type: 'authOk', __token: expect.any(String) }],
    ours: authExpected,
    status: 401,
    why: noTrailing,
  })),
  {
    transcript: 'lp-odd-bodies',
    to: '/anything?x=1{"__type":"auth"}',
    original: [{ __type: 'authOk', __token: expect.any(String) }],
    ours: [],
    status: 404,
    why: 'L10: what lies below the mount path belongs to the application',
  },
]
