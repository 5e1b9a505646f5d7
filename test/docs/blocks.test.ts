import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { transform } from 'esbuild'
import { parse } from 'yaml'
import { describe, expect, it, onTestFinished } from 'vitest'
import { findNginx } from '../support/nginx.ts'
import { blocks, type Block } from './documents.ts'

/** What else says that a block is right: another test runs it, or nothing on this machine can. */
const elsewhere = {
  ts: 'snippets.test.ts compiles it',
  tsx: 'snippets.test.ts compiles it',
  python: 'publishing.test.ts runs it',
  php: 'publishing.test.ts runs it',
  ruby: 'publishing.test.ts runs it',
  perl: 'publishing.test.ts runs it',
  haproxy: 'server/proxies.test.ts runs it',
  go: 'needs a compiler of Go',
  java: 'needs a compiler of Java',
  caddy: 'needs Caddy',
  ini: 'two lines of an .env file',
  html: 'packages/quickStart.test.ts and packages/pages.test.ts open it',
  '': 'text',
} as const

const checks: Readonly<Record<string, (text: string) => unknown>> = {
  js: (text) => transform(text, { loader: 'jsx', format: 'esm', target: 'esnext' }),
  jsx: (text) => transform(text, { loader: 'jsx', format: 'esm', target: 'esnext' }),
  json: (text) => void JSON.parse(text),
  yaml: (text) => expect(parse(text)).toBeTypeOf('object'),
  yml: (text) => expect(parse(text)).toBeTypeOf('object'),
  sh: (text) => accepted('bash', ['-n'], text),
  bash: (text) => accepted('bash', ['-n'], text),
  nginx: nginxAccepts,
}

const checked = blocks.filter(({ language }) => Object.hasOwn(checks, language))

describe('The code blocks', () => {
  it('are all of languages that are checked here, or for which somebody else is named', () => {
    const known = [...Object.keys(checks), ...Object.keys(elsewhere)]
    expect(blocks.filter(({ language }) => !known.includes(language))).toEqual([])
    expect(checked.length).toBeGreaterThan(40)
  })

  it.each(checked)('$document:$line is $language', async ({ language, text }: Block) => {
    await checks[language]!(text)
  })
})

function accepted(command: string, args: readonly string[], input = ''): void {
  const { status, stderr } = spawnSync(command, args, { input, encoding: 'utf8' })
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
}

/** The block is the contents of `http { ... }`. */
function nginxAccepts(text: string): void {
  const directory = mkdtempSync(join(tmpdir(), 'broadcaster-nginx-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  const path = join(directory, 'nginx.conf')
  writeFileSync(
    path,
    `pid ${directory}/pid; error_log ${directory}/log; events {} http { access_log off;\n${text}\n}\n`,
  )
  accepted(findNginx() ?? 'nginx', ['-q', '-t', '-p', directory, '-c', path])
}
