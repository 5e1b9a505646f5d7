import { readClientName, readFormerNode, readGeneration, type Auth } from '@broadcaster/protocol'
import { describe, expect, it } from 'vitest'

const auth = (fields: object): Auth => ({ __type: 'auth', ...fields }) as Auth

describe('A1: the name of a client', () => {
  it.each(['a', 'x'.repeat(64), ' '])('is %j', (name) => {
    expect(readClientName(auth({ __client: name }))).toBe(name)
  })

  it.each([undefined, '', 'x'.repeat(65), 7, null, ['a']])('is not %j', (name) => {
    expect(readClientName(auth({ __client: name }))).toBeNull()
  })
})

describe('the node that a client was on', () => {
  const id = '01234567-89ab-cdef-0123-456789abcdef'

  it('has an id', () => {
    expect(readFormerNode(auth({ __node: id }))).toBe(id)
  })

  it.each([undefined, '', `${id}0`, `x${id}`, id.slice(1), id.replace('a', 'G'), 7, [id]])(
    'has not the id %j',
    (node) => {
      expect(readFormerNode(auth({ __node: node }))).toBeNull()
    },
  )
})

describe('the generation of a connection', () => {
  it.each([0, 1, Number.MAX_SAFE_INTEGER])('is %d', (generation) => {
    expect(readGeneration(auth({ __generation: generation }))).toBe(generation)
  })

  it.each([undefined, -1, 1.5, Number.MAX_SAFE_INTEGER + 1, Infinity, '1', null])(
    'is 0 and not %j',
    (generation) => {
      expect(readGeneration(auth({ __generation: generation }))).toBe(0)
    },
  )
})
