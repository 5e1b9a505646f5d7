import { expect } from 'vitest'

/**
 * The intended differences between the answers of this kit and those of the original (PROTOCOL.md, "Where this differs from the
 * original"). `to` is what the client sent. The replay expects `ours` instead of the recorded answer, and fails if no recording
 * has a difference that is declared here.
 */
export type Difference = {
  readonly transcript: string
  /** The body of the frame or request that is answered differently, after the part of its path below the mount path. */
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
    why: 'bytes that are not UTF-8 are replaced like in browsers, with one U+FFFD for an incomplete character',
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
