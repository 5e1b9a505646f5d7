import { spawn } from 'node:child_process'
import { copyFile, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'

/**
 * The TypeScript in the documents compiles against the sources of the packages. `prelude.ts` has declarations for the snippets.
 * `<!-- fragment -->` on the line before a snippet leaves it out.
 */

const root = join(import.meta.dirname, '..', '..')
const documents = [
  ...(await markdownIn('.')).filter((path) => path !== 'CHANGELOG.md'),
  ...(await markdownIn('docs')),
  ...['protocol', 'channels', 'server', 'client', 'react', 'testing', 'devtools'].map(
    (name) => `${name}/README.md`,
  ),
]
const snippets = (await Promise.all(documents.map(snippetsOf))).flat()

/** It is compiled with the documents, to check that a mistake in a snippet is found. */
const mistaken: Snippet = {
  document: 'mistaken.md',
  line: 3,
  extension: 'ts',
  text: "broadcaster({ noSuchOption: 1 })\nlive.publish('news')\n",
}

let errors: string[]

beforeAll(async () => {
  errors = await compile([...snippets, mistaken])
})

describe('The documents', () => {
  it('have snippets', () => {
    expect(snippets.length).toBeGreaterThan(15)
    expect(new Set(snippets.map(({ document }) => document))).toContain('README.md')
  })

  it.each(snippets)('$document:$line compiles', (snippet) => {
    expect(errorsOf(snippet)).toEqual([])
  })

  it('have no other errors, and the prelude compiles', () => {
    const found = [...snippets, mistaken].flatMap(errorsOf)
    expect(errors.filter((error) => !found.includes(error))).toEqual([])
  })

  it('would fail with a mistake in a snippet', () => {
    expect(errorsOf(mistaken)).toEqual([
      expect.stringMatching(/\(3,.*noSuchOption/),
      expect.stringMatching(/\(4,.*Expected 2 arguments/),
    ])
  })
})

interface Snippet {
  readonly document: string
  /** The number of its first line of code. */
  readonly line: number
  readonly extension: string
  readonly text: string
}

async function markdownIn(dir: string): Promise<string[]> {
  const names = await readdir(join(root, dir))
  return names.filter((name) => name.endsWith('.md')).map((name) => join(dir, name))
}

async function snippetsOf(document: string): Promise<Snippet[]> {
  const text = await readFile(join(root, document), 'utf8')
  const fences = text.matchAll(
    /(?<mark>^<!-- fragment -->\n+)?^ *```(?<extension>tsx?)\n(?<code>.*?)^ *```$/gms,
  )
  return [...fences]
    .filter(({ groups }) => groups!['mark'] === undefined)
    .map(({ index, groups, 0: all }) => {
      const code = groups!['code']!
      const before = text.slice(0, index + all.lastIndexOf(code))
      return { document, line: before.split('\n').length, extension: groups!['extension']!, text: code }
    })
}

function fileOf({ document, line, extension }: Snippet): string {
  return `${document.replaceAll('/', '-')}-${line}.${extension}`
}

function errorsOf(snippet: Snippet): string[] {
  return errors.filter((error) => error.startsWith(`${fileOf(snippet)}(`))
}

/** Runs the compiler once for all snippets. The line numbers of errors are those of the documents. */
async function compile(all: readonly Snippet[]): Promise<string[]> {
  // It is in `node_modules`, which other tools ignore, and from which the packages of the tests can be resolved.
  const dir = join(root, 'test', 'node_modules', '.snippets')
  await rm(dir, { recursive: true, force: true })
  await mkdir(dir, { recursive: true })
  await copyFile(join(import.meta.dirname, 'prelude.ts'), join(dir, 'prelude.ts'))
  for (const snippet of all) {
    // Each snippet is a module, so its declarations are its own.
    const text = `${'\n'.repeat(snippet.line - 1)}${snippet.text}\nexport {}\n`
    await writeFile(join(dir, fileOf(snippet)), text)
  }
  const config = {
    extends: '../../../tsconfig.json',
    files: ['prelude.ts', ...all.map(fileOf)],
    include: [],
  }
  await writeFile(join(dir, 'tsconfig.json'), JSON.stringify(config))
  const typescript = dirname(createRequire(import.meta.url).resolve('typescript/package.json'))
  const args = [join(typescript, 'bin', 'tsc'), '--pretty', 'false', '--checkers', '1']
  const child = spawn(process.execPath, args, { cwd: dir })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += String(chunk)))
  await new Promise((resolve, reject) => child.on('error', reject).on('close', resolve))
  return output.split('\n').filter((line) => /^\S/.test(line))
}
