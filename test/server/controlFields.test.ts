import { describe, expect, it } from 'vitest'
import { encodeControl, parseControl, type ControlMessage } from '../../server/src/control/control.ts'

/** One message of each type, with all fields. */
const messages: { readonly [T in ControlMessage['type']]: Extract<ControlMessage, { type: T }> } = {
  beacon: { type: 'beacon', number: 5 },
  where: {
    type: 'where',
    id: 1,
    node: 'a',
    channels: [
      ['news', '5.1'],
      ['chat', ''],
    ],
  },
  whereIs: {
    type: 'whereIs',
    id: 1,
    node: 'a',
    channels: [
      [0, '5.1', '5.2', true],
      [1, '5.1'],
    ],
  },
  claim: {
    type: 'claim',
    node: 'a',
    upTo: '5.1',
    channels: [
      ['news', '5.1', '5.2'],
      ['chat', '5.1'],
    ],
  },
  getPage: { type: 'getPage', id: 1, node: 'a', channel: 'news', after: '', before: '5.1', bytes: 9, max: 9 },
  page: {
    type: 'page',
    id: 1,
    start: '5.0',
    count: 1,
    needs: 0,
    entries: [
      ['5.0', '', 1],
      ['5.1', 'hello', 0.5],
    ],
  },
  order: {
    type: 'order',
    node: 'a',
    channels: [
      ['news', '5.0', '5.1', 'hash'],
      ['chat', '5.0', '5.0', 'hash'],
    ],
  },
  several: {
    type: 'several',
    messages: [
      { type: 'endSession', session: 's' },
      { type: 'beacon', number: 5 },
    ],
  },
  copy: {
    type: 'copy',
    node: 'a',
    seq: 2,
    after: 1,
    hold: [
      ['news', '5.1'],
      ['chat', '5.1'],
    ],
    drop: ['a', 'b'],
  },
  copied: { type: 'copied', node: 'a', seq: 2, state: 'done', refused: [0, 1] },
  fence: { type: 'fence', client: 'c', generation: 1 },
  endPoll: { type: 'endPoll', session: 's', poll: 'a/1', seq: '1' },
  endSession: { type: 'endSession', session: 's' },
  pollChannel: { type: 'pollChannel', session: 's', poll: 'a/1', channel: 'news', position: '5.1' },
  disconnect: { type: 'disconnect', match: { user: 'alice' }, id: 'i' },
  reauthorize: { type: 'reauthorize', match: { user: 'alice' }, id: 'i' },
  unsubscribe: { type: 'unsubscribe', match: { user: 'alice' }, channel: 'news', id: 'i' },
}

const optional = ['whereIs.node', 'getPage.max', 'disconnect.id', 'reauthorize.id', 'unsubscribe.id']
const nullable = ['page.start', 'endPoll.seq', 'pollChannel.position']
/** The age of a message, which is any number, and what an application chooses. */
const anything = /^page\.entries\.\d\.2$|\.match\.user$/

type Json = string | number | boolean | null | undefined | readonly Json[] | { readonly [key: string]: Json }

/** Values of other types than this one. */
function wrong(value: Json): Json[] {
  const others: Json[] = ['text', 5, true, null, [], { length: 1 }]
  const rest = others.filter(
    (other) => typeof other !== typeof value || Array.isArray(other) !== Array.isArray(value),
  )
  return [
    ...rest,
    ...(typeof value === 'number' ? [-1, 0.5, 2 ** 53] : []),
    ...(value === null ? [] : [null]),
  ]
}

/** Every copy of the value in which one part is wrong, with the path to this part. */
function* spoiled(value: Json, path: string): Generator<readonly [path: string, spoiled: Json]> {
  if (anything.test(path)) return
  for (const other of wrong(value)) if (other !== null || !nullable.includes(path)) yield [path, other]
  if (Array.isArray(value)) {
    for (const [i, part] of value.entries())
      for (const [at, bad] of spoiled(part, `${path}.${i}`)) yield [at, value.with(i, bad)]
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, part] of Object.entries(value)) {
      if (key === 'type' && path.includes('.') === false) continue
      for (const [at, bad] of spoiled(part, `${path}.${key}`)) yield [at, { ...value, [key]: bad }]
      if (!optional.includes(`${path}.${key}`) && !anything.test(`${path}.${key}`)) {
        const { [key]: _, ...others } = value as Record<string, Json>
        yield [`${path}.${key}`, others]
      }
    }
  }
}

const read = (fields: Json) => parseControl(JSON.stringify(fields))

describe.each(Object.entries(messages))('the control message %s', (type, message) => {
  const fields = JSON.parse(encodeControl(message)) as Record<string, Json>

  it('is read as it was written', () => {
    expect(parseControl(encodeControl(message))).toMatchObject(message)
  })

  it('is read without its optional fields, and with null where this has a meaning', () => {
    for (const path of optional.filter((each) => each.startsWith(`${type}.`))) {
      const { [path.split('.')[1]!]: _, ...others } = fields
      expect(read(others), path).not.toBeNull()
    }
    for (const path of nullable.filter((each) => each.startsWith(`${type}.`))) {
      expect(read({ ...fields, [path.split('.')[1]!]: null }), path).not.toBeNull()
    }
  })

  it('is ignored if any field is missing or wrong', () => {
    for (const [path, bad] of spoiled(fields, type)) {
      if (typeof bad !== 'object' || bad === null || Array.isArray(bad)) continue
      expect(read(bad), `${path} in ${JSON.stringify(bad)}`).toBeNull()
    }
  })
})

it.each([
  ['where', { id: 1, node: 'a' }, 'channels', ['news', '5.1'], 2, 2],
  ['claim', { node: 'a', upTo: '5.1' }, 'channels', ['news', '5.1', '5.2', '5.3'], 2, 4],
  ['order', { node: 'a' }, 'channels', ['news', '5.0', '5.1', 'hash', 'more'], 4, 4],
  ['copy', { node: 'a', seq: 2, after: 1, drop: [] }, 'hold', ['news', '5.1', '5.2'], 2, 2],
])(
  'the control message %s is ignored if a channel has too few or too many fields',
  (type, others, list, parts, from, to) => {
    for (let length = 0; length <= parts.length; length++) {
      const message = read({ v: 1, type, ...others, [list]: [parts.slice(0, length)] })
      expect(message !== null, `${length} fields`).toBe(length >= from && length <= to)
    }
  },
)

it('an answer to `where` may have no last position, and not say whether the node asks itself', () => {
  for (const channels of [[[0, '5.1']], [[0, '5.1', '5.2']]]) {
    expect(read({ v: 1, type: 'whereIs', id: 1, node: 'a', channels })).not.toBeNull()
  }
})

it('text that is no control message is ignored', () => {
  for (const text of [
    '',
    'x',
    '5',
    'null',
    '[]',
    '{}',
    '{"v":1}',
    '{"v":1,"type":"toString"}',
    '{"v":2,"b":5}',
  ]) {
    expect(parseControl(text), text).toBeNull()
  }
})
