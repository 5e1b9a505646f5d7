const LONE_SURROGATE = /\p{Surrogate}/u

/** Whether UTF-8 can encode the text. It can't encode one half of a surrogate pair. */
export function isUtf8(text: string): boolean {
  return !LONE_SURROGATE.test(text)
}

/** The length of the text in UTF-8. (jsdom has no `TextEncoder`.) */
export function utf8Bytes(text: string): number {
  let bytes = 0
  for (const character of text) {
    const point = character.codePointAt(0)!
    bytes += point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4
  }
  return bytes
}

/** The string that is published for a body: text as it is, everything else as JSON. */
export function toText(body: unknown): string {
  const text = typeof body === 'string' ? body : (JSON.stringify(body) as string | undefined)
  if (text === undefined) throw new TypeError(`publish(): JSON can't represent a body of type ${typeof body}`)
  return isUtf8(text) ? text : text.replace(/\p{Surrogate}/gu, '\uFFFD')
}
