/** A key of the map, for instance `room:{id}`. */
export interface Key {
  readonly text: string
  readonly params: readonly string[]
  /** The only name, if there are no params. */
  readonly name: string
  /** Matches the names. Its groups are the params. */
  readonly names: RegExp
  /** The characters of the names, for {@link overlap}. */
  readonly steps: readonly Step[]
}

/** One character of a name, or any number of characters. */
interface Step {
  readonly char: string
  /** It is any character but `char`. */
  readonly isParam: boolean
  /** It is any number of such characters. */
  readonly isRepeated: boolean
}

const TOKENS = /\{\{|\}\}|\{([A-Za-z_]\w*)\}|[{}]|[^{}]+/g

/**
 * Reads a key. A param is one or more characters. It does not contain the character that follows it in the key. If it ends the
 * key, it does not contain the character before it.
 */
export function readKey(text: string): Key {
  const texts = ['']
  const params: string[] = []
  for (const [token, param] of text.matchAll(TOKENS)) {
    if (param !== undefined) {
      params.push(param)
      texts.push('')
    } else if (token === '{' || token === '}') {
      throw wrong(text, 'a param is written {id}, and a brace in the name of a channel is written twice')
    } else {
      texts.push(texts.pop()! + (token === '{{' || token === '}}' ? token[0] : token))
    }
  }
  if (text === '') throw wrong(text, 'the name of a channel is not empty')
  if (new Set(params).size < params.length) throw wrong(text, 'each param has its own name')
  if (texts.slice(1, -1).includes('')) throw wrong(text, 'there is text between two params')

  const steps: Step[] = []
  texts.forEach((part, i) => {
    for (const char of part) steps.push({ char, isParam: false, isRepeated: false })
    if (i === params.length) return
    const char = [...texts[i + 1]!][0] ?? [...part].at(-1) ?? ''
    for (const isRepeated of [false, true]) steps.push({ char, isParam: true, isRepeated })
  })
  return { text, params, name: texts.join(''), names: new RegExp(`^${sourceOf(steps)}$`, 'u'), steps }
}

function wrong(text: string, reason: string): TypeError {
  return new TypeError(`defineChannels(): "${text}" is not valid: ${reason}`)
}

function sourceOf(steps: readonly Step[]): string {
  const sources = steps.map(({ char, isParam, isRepeated }) => {
    const source = char && `\\u{${char.codePointAt(0)!.toString(16)}}`
    if (!isParam) return source
    return isRepeated ? `[^${source}]*)` : `([^${source}]`
  })
  return sources.join('')
}

/** Whether there is a name that fits both keys. */
export function overlap({ steps: a }: Key, { steps: b }: Key): boolean {
  const tried = new Set<number>()
  const reach = (i: number, j: number): boolean => {
    const id = i * (b.length + 1) + j
    if (tried.has(id)) return false
    tried.add(id)
    const x = a[i]
    const y = b[j]
    if (!x && !y) return true
    if (x?.isRepeated && reach(i + 1, j)) return true
    if (y?.isRepeated && reach(i, j + 1)) return true
    return x !== undefined && y !== undefined && meet(x, y) && reach(after(x, i), after(y, j))
  }
  return reach(0, 0)
}

function meet(x: Step, y: Step): boolean {
  if (x.isParam && y.isParam) return true
  return (x.char === y.char) === (x.isParam === y.isParam)
}

function after({ isRepeated }: Step, index: number): number {
  return isRepeated ? index : index + 1
}
