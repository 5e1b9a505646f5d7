import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'

/**
 * Makes the templates from the examples, for `npm run build`. So what `npm create broadcaster` makes is what the examples are, and is
 * tested as they are.
 */

const examples = '../examples'
const templates = 'dist/templates'
const names = ['vite', 'next', 'server']
/** What an example has after somebody has tried it. */
const made = ['node_modules', 'dist', '.next', 'package-lock.json', 'next-env.d.ts']

const { version } = JSON.parse(readFileSync('package.json', 'utf8'))
for (const name of names) {
  const target = join(templates, name)
  cpSync(join(examples, name), target, { recursive: true, filter: (path) => !made.includes(basename(path)) })
  const path = join(target, 'package.json')
  const ours = /("@broadcaster\/[^"]+": ")[^"]+/g
  writeFileSync(path, readFileSync(path, 'utf8').replaceAll(ours, `$1^${version}`))
  checkNames(target)
}

/** npm packs neither `.gitignore` nor `.npmrc`: `src/files.ts` writes such files. */
function checkNames(directory) {
  const hidden = readdirSync(directory, { recursive: true }).filter((path) => basename(path).startsWith('.'))
  if (hidden.length > 0) throw new Error(`npm may not pack ${hidden.join(', ')} of ${directory}`)
}
