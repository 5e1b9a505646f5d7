import { defineChannels, text } from '@broadcaster/channels'
import { describe, expect, it } from 'vitest'

const mapOf = (...keys: string[]) => defineChannels(Object.fromEntries(keys.map((key) => [key, text])))

describe('a key of defineChannels()', () => {
  it.each<[key: string, name: string, params: object | undefined]>([
    ['orders', 'orders', {}],
    ['orders', 'order', undefined],
    ['orders', 'orders ', undefined],
    ['room:{id}', 'room:42', { id: '42' }],
    ['room:{id}', 'room:Zoë 😀\n', { id: 'Zoë 😀\n' }],
    ['room:{id}', 'room:', undefined],
    ['room:{id}', 'Room:42', undefined],
    ['room:{id}', 'xroom:42', undefined],
    ['room:{id}', 'room:42:users', undefined],
    ['room:{id}', 'room:{id}', { id: '{id}' }],
    ['room:{id}:user:{name}', 'room:42:user:bob', { id: '42', name: 'bob' }],
    ['room:{id}:user:{name}', 'room:42:user:', undefined],
    ['room:{id}:user:{name}', 'room::user:bob', undefined],
    ['room:{id}:user:{name}', 'room:1:2:user:bob', undefined],
    ['{tenant}/orders', 'acme/orders', { tenant: 'acme' }],
    ['{tenant}/orders', 'a/b/orders', undefined],
    ['{name}', 'any: thing/at.all', { name: 'any: thing/at.all' }],
    ['file-{name}.{ext}', 'file-a-b.txt', { name: 'a-b', ext: 'txt' }],
    ['file-{name}.{ext}', 'file-a.tar.gz', undefined],
    ['a.b[c]*(d)|^$\\{x}', 'a.b[c]*(d)|^$\\e', { x: 'e' }],
    ['a.{x}', 'ab1', undefined],
    ['a^{x}-{y}]', 'a^1-2]', { x: '1', y: '2' }],
    ['a😀{x}😁{y}', 'a😀1😁2', { x: '1', y: '2' }],
    ['a😀{x}', 'a😀\u{1F601}', { x: '\u{1F601}' }],
    ['{{tag}}', '{tag}', {}],
    ['{{tag}}', '{{tag}}', undefined],
    ['{{{tenant}}}.orders', '{acme}.orders', { tenant: 'acme' }],
    ['a}}b{{c', 'a}b{c', {}],
    [
      '{__proto__}.{constructor}',
      'a.b',
      Object.fromEntries(Object.entries({ constructor: 'b' }).concat([['__proto__', 'a']])),
    ],
  ])('%j and the name %j', (key, name, params) => {
    const match = mapOf(key).match(name)
    if (!params) return expect(match).toBeUndefined()
    expect(match).toMatchObject({ key, schema: text })
    expect(Object.entries(match!.params).toSorted()).toEqual(Object.entries(params).toSorted())
  })

  it.each([
    ['', 'not empty'],
    ['{}', 'written twice'],
    ['room:{', 'written twice'],
    ['room:}', 'written twice'],
    ['room:{id', 'written twice'],
    ['room:{id}}', 'written twice'],
    ['room:{{id}', 'written twice'],
    ['room:{room id}', 'written twice'],
    ['room:{1}', 'written twice'],
    ['{id}:{id}', 'its own name'],
    ['{id}{name}', 'text between'],
  ])('%j is refused', (key, reason) => {
    expect(() => mapOf(key)).toThrow(TypeError)
    expect(() => mapOf(key)).toThrow(`"${key}"`)
    expect(() => mapOf(key)).toThrow(reason)
  })

  it('without params goes before one with params', () => {
    for (const map of [mapOf('room:{id}', 'room:lobby'), mapOf('room:lobby', 'room:{id}')]) {
      expect(map.match('room:lobby')).toMatchObject({ key: 'room:lobby' })
      expect(map.match('room:42')).toMatchObject({ key: 'room:{id}' })
    }
  })

  it('whose names have a longer form may be beside it', () => {
    const map = mapOf('room:{id}', 'room:{id}:typing', 'room:{id}:user:{name}')
    expect(map.match('room:1')?.key).toBe('room:{id}')
    expect(map.match('room:1:typing')?.key).toBe('room:{id}:typing')
    expect(map.match('room:1:user:bob')?.key).toBe('room:{id}:user:{name}')
  })

  it.each([
    ['room:{id}', 'room:{name}'],
    ['room:{id}', '{kind}:42'],
    ['{a}:x', 'y:{b}'],
    ['{a}.b{c}', 'a{b}.{c}'],
    ['{all}', 'room:{id}'],
    ['at:{x}-{y}', 'at:{x}.{y}'],
  ])('may not have a name of another one with params: %j and %j', (one, other) => {
    for (const keys of [
      [one, other],
      [other, one],
    ] as const) {
      expect(() => mapOf(...keys)).toThrow(`fit both "${keys[0]}" and "${keys[1]}"`)
    }
  })

  it('is refused beside another one exactly if there is a name that fits both', () => {
    const names = allTexts('ab:', 6)
    // A multiplier and an increment of a linear congruential generator: the same keys in each run.
    let state = 7
    const random = (below: number) => {
      state = (state * 1103515245 + 12345) % 2 ** 31
      return Math.floor((state / 2 ** 31) * below)
    }
    const randomKey = (): string => {
      const tokens = Array.from({ length: 1 + random(4) }, (_, i) => ['a', 'b', ':', `{p${i}}`][random(4)])
      const key = tokens.join('')
      return key.includes('{') && !key.includes('}{') ? key : randomKey()
    }
    const counts = { apart: 0, together: 0 }
    for (let i = 0; i < 400; i++) {
      const [one, other] = [randomKey(), randomKey()]
      const [first, second] = [mapOf(one), mapOf(other)]
      const common = names.filter((name) => first.match(name) && second.match(name))
      const define = () => mapOf(one, other)
      if (one === other || common.length === 0) expect(define, `${one} ${other}`).not.toThrow()
      else expect(define, `${one} ${other} ${common[0]}`).toThrow('fit both')
      counts[common.length === 0 ? 'apart' : 'together']++
    }
    expect(counts.apart).toBeGreaterThan(50)
    expect(counts.together).toBeGreaterThan(50)
  })

  it('is not a property of an object, whatever it is called', () => {
    const map = mapOf('orders', 'room:{id}')
    for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty'])
      expect(map.match(name), name).toBeUndefined()
    const { params } = map.match('orders')!
    expect('constructor' in params).toBe(false)
    expect(mapOf('constructor', '__proto__').match('__proto__')?.key).toBe('__proto__')
  })

  it('has a Standard Schema as its value', () => {
    for (const value of [undefined, null, 'string', {}, { '~standard': {} }, () => true]) {
      expect(() => defineChannels({ orders: value as typeof text })).toThrow(
        /defineChannels\(\): the value of "orders" is not a Standard Schema \(zod from/,
      )
    }
  })
})

function allTexts(chars: string, maxLength: number): string[] {
  const all = ['']
  for (const one of all) if (one.length < maxLength) for (const char of chars) all.push(one + char)
  return all
}
