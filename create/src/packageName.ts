import { builtinModules } from 'node:module'

const LONGEST = 214
const scoped = /^@[a-z0-9~-][a-z0-9._~-]*\/[a-z0-9~-][a-z0-9._~-]*$/

/**
 * A name that npm accepts, made of the name of the directory. `taken` are the packages that the project depends on: npm does not install
 * a package into one of the same name.
 */
export function packageNameFor(directory: string, taken: readonly string[]): string {
  const text = directory.replaceAll('\\', '/').replace(/\/+$/, '')
  if (scoped.test(text) && text.length <= LONGEST) return text
  const name = text
    .split('/')
    .at(-1)!
    .normalize('NFKD')
    .replaceAll(/\p{M}/gu, '')
    .toLowerCase()
    .replaceAll(/[^a-z0-9._~-]+/g, '-')
    .replaceAll(/^[._-]+|[._-]+$/g, '')
    .slice(0, LONGEST - '-app'.length)
  if (name === '') return 'broadcaster-app'
  const isReserved = ['node_modules', 'favicon.ico', ...builtinModules, ...taken].includes(name)
  return isReserved ? `${name.replaceAll('_', '-')}-app` : name
}
