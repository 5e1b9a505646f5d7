import { spawn } from 'node:child_process'
import { copyFile, mkdir, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { blocks, root, type Block } from './documents.ts'

/**
 * The TypeScript in the documents compiles against the sources of the packages. `prelude.ts` has declarations for the snippets.
 * `<!-- fragment -->` on the line before a snippet leaves it out.
 */

const snippets: readonly Snippet[] = blocks.filter(
  ({ language, isFragment }) => ['ts', 'tsx'].includes(language) && !isFragment,
)

/** It is compiled with the documents, to check that a mistake in a snippet is found. */
const mistaken: Snippet = {
  document: 'mistaken.md',
  line: 3,
  language: 'ts',
  text: "broadcaster({ noSuchOption: 1 })\nlive.publish('news')\n",
}

let errors: string[]

beforeAll(async () => {
  errors = await compile([...snippets, mistaken])
})

describe('The documents', () => {
  it('have snippets', () => {
    expect(snippets.length).toBeGreaterThan(50)
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

type Snippet = Omit<Block, 'isFragment'>

function fileOf({ document, line, language }: Snippet): string {
  return `${document.replaceAll('/', '-')}-${line}.${language}`
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
