const LONE_SURROGATE = /\p{Surrogate}/u
const LONE_SURROGATES = /\p{Surrogate}/gu

/** Whether UTF-8, and so Redis, can carry the text: half of a character outside the Basic Multilingual Plane it can't. */
export function isUtf8(text: string): boolean {
  return !LONE_SURROGATE.test(text)
}

/** What arrives when UTF-8 has carried the text. */
export function throughUtf8(text: string): string {
  return isUtf8(text) ? text : text.replace(LONE_SURROGATES, '\uFFFD')
}
