import { expect } from 'vitest'

/**
 * False where the project `packages` runs tests of this folder with the build for production. That one checks no options, and has no
 * sentences.
 */
export const isDevelopment = process.env['BUILD'] !== 'production'

/** The text of an error or of a reason. In production, any text. */
export function sentence(text: string): string {
  return isDevelopment ? text : expect.any(String)
}
