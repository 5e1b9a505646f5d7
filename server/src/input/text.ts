const LONE_SURROGATE = /\p{Surrogate}/u
const LONE_SURROGATES = /\p{Surrogate}/gu

/**
 * Whether UTF-8, and therefore Redis, can represent the text. UTF-8 cannot represent a lone surrogate (one half of a
 * character outside the Basic Multilingual Plane).
 */
export function isUtf8(text: string): boolean {
  return !LONE_SURROGATE.test(text)
}

/** The text as it is after it was encoded to UTF-8 and decoded again. */
export function throughUtf8(text: string): string {
  return isUtf8(text) ? text : text.replace(LONE_SURROGATES, '\uFFFD')
}
