import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { ask } from '../../create/src/ask.ts'
import type { Wanted } from '../../create/src/arguments.ts'
import { packageNameFor } from '../../create/src/packageName.ts'
import { inFull } from '../support/extent.ts'
import { tidy } from '../support/tidy.ts'
import { allPacked, packed, type Ended } from './packed.ts'
import { runInTerminal } from './terminal.ts'

const program = join(packed, 'node_modules/create-broadcaster/dist/index.js')
const template = (name: string) => join(packed, 'node_modules/create-broadcaster/dist/templates', name)

/** A new directory, to make projects in. */
function place(): string {
  const directory = realpathSync(mkdtempSync(join(tmpdir(), 'broadcaster create-')))
  tidy({ stop: () => rmSync(directory, { recursive: true, force: true }) })
  return directory
}

/** Runs the program without a terminal. */
function create(cwd: string, args: readonly string[], env?: Record<string, string>): Promise<Ended> {
  return runInTerminal(cwd, process.execPath, [program, ...args], env)
}

const manifestIn = (directory: string) => JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'))
const filesIn = (directory: string) => readdirSync(directory, { recursive: true }).map(String).toSorted()

describe('npm create broadcaster', () => {
  it.each(['vite', 'next', 'server'])('makes a project from the template %s', async (name) => {
    const directory = place()
    const { code, output } = await create(directory, ['my-app', '--template', name])
    expect(code, output).toBe(0)
    const made = join(directory, 'my-app')
    expect(filesIn(made)).toEqual([...filesIn(template(name)), '.gitignore', 'README.md'].toSorted())
    expect(manifestIn(made)).toEqual({ ...manifestIn(template(name)), name: 'my-app' })
    expect(readFileSync(join(made, '.gitignore'), 'utf8')).toContain('node_modules\n')
    expect(output).toContain('  cd my-app\n  npm install\n  npm run dev\n  npm test\n')
  })

  it('has in its templates what the examples have, with the versions of this release', () => {
    const { version } = manifestIn(join(packed, 'node_modules/create-broadcaster'))
    for (const name of ['vite', 'next', 'server']) {
      // Not those beside the packages: the tests of the examples edit them.
      const example = join(import.meta.dirname, '../../examples', name)
      for (const file of filesIn(template(name)).filter((path) => /\.\w+$/.test(path))) {
        const text = readFileSync(join(example, file), 'utf8')
        const expected = file === 'package.json' ? text.replaceAll('^0.1.0', `^${version}`) : text
        expect(readFileSync(join(template(name), file), 'utf8'), file).toBe(expected)
      }
    }
  })

  it('asks nothing without a terminal, and has defaults', async () => {
    const directory = place()
    const { code, output } = await create(directory, [])
    expect(code, output).toBe(0)
    expect(manifestIn(join(directory, 'broadcaster-app')).scripts.build).toBe('vite build')
  })

  // Without `--`, npm takes the option for itself. So it does in PowerShell with `--`.
  it.each([
    ['my-app --template next', ['my-app', 'next'], 'true'],
    ['--template next my-app', ['next', 'my-app'], 'true'],
    ['my-app --template=next', ['my-app'], 'next'],
    ['my-app -t next', ['my-app', 'next'], undefined],
  ])('takes what npm makes of: %s', async (_, args, taken) => {
    const directory = place()
    const { code, output } = await create(
      directory,
      args,
      taken === undefined ? {} : { npm_config_template: taken },
    )
    expect(code, output).toBe(0)
    expect(manifestIn(join(directory, 'my-app')).scripts.build).toBe('next build')
  })

  const ways: [string, string[]][] = [
    ['with --', ['--', 'create-broadcaster', 'my-app', '--template', 'next']],
    ['without --', ['create-broadcaster', 'my-app', '--template', 'next']],
    ['without -- and with =', ['create-broadcaster', 'my-app', '--template=next']],
  ]

  it.each(inFull(ways, ways.slice(1, 2)))('is started by npm, %s', async (_, args) => {
    const directory = place()
    const { tarball } = allPacked().find(({ name }) => name === 'create-broadcaster')!
    const { code, output } = await runInTerminal(
      directory,
      'npm',
      ['exec', '--yes', `--package=${tarball}`, ...args],
      {
        npm_config_cache: join(directory, 'cache'),
        npm_config_offline: 'true',
      },
    )
    expect(code, output).toBe(0)
    expect(manifestIn(join(directory, 'my-app')).scripts.build).toBe('next build')
    expect(output).toContain('npm run dev')
  })

  it.each([
    ['pnpm/10.2.0 npm/? node/v22.0.0 linux x64', ['pnpm install', 'pnpm dev', 'pnpm test']],
    ['yarn/4.6.0 npm/? node/v22.0.0 linux x64', ['yarn install', 'yarn dev', 'yarn test']],
    ['bun/1.2.0 npm/? node/v22.0.0 linux x64', ['bun install', 'bun run dev', 'bun run test']],
    ['npm/11.0.0 node/v22.0.0 linux x64', ['npm install', 'npm run dev', 'npm test']],
  ])('names the commands of %s', async (agent, commands) => {
    const directory = place()
    const { output } = await create(directory, ['app', '-t', 'server'], { npm_config_user_agent: agent })
    expect(output).toContain(`  cd app\n${commands.map((command) => `  ${command}\n`).join('')}`)
    expect(readFileSync(join(directory, 'app', 'README.md'), 'utf8')).toContain(commands[1])
  })

  it('makes it where one is, in an empty repository, with the name of the directory', async () => {
    const directory = join(place(), 'My First App')
    mkdirSync(join(directory, '.git'), { recursive: true })
    writeFileSync(join(directory, 'LICENSE'), 'mine')
    const { code, output } = await create(directory, ['.'])
    expect(code, output).toBe(0)
    expect(output).not.toContain('cd ')
    expect(manifestIn(directory).name).toBe('my-first-app')
    expect(readFileSync(join(directory, 'LICENSE'), 'utf8')).toBe('mine')
  })

  it('takes a path with folders, a trailing slash and spaces', async () => {
    const directory = place()
    const { code, output } = await create(directory, ['apps/My News///'])
    expect(code, output).toBe(0)
    expect(manifestIn(join(directory, 'apps', 'My News')).name).toBe('my-news')
    expect(output).toMatch(/cd "apps.My News"\n/)
  })

  it.each([
    ['a directory with files', ['full'], /full is not empty \(package\.json\)/],
    ['a directory that would be in a file', ['full/package.json/app'], /is a file, or is in one/],
    ['a file', ['full/package.json'], /is a file, or is in one/],
    ['a name that Windows does not have', ['what?'], /is no name for a directory: it has \?/],
    ['an unknown template', ['app', '-t', 'svelte'], /no template svelte\. There are vite, next, server\./],
    [
      'an unknown option',
      ['app', '--typescript'],
      /'--typescript'[\s\S]*npm create broadcaster \[directory\]/,
    ],
    ['two directories', ['one', 'two'], /one directory is expected: one two/],
  ])('refuses %s, and writes nothing', async (_, args, message) => {
    const directory = place()
    mkdirSync(join(directory, 'full'))
    writeFileSync(join(directory, 'full', 'package.json'), '{}')
    const { code, output } = await create(directory, args)
    expect(code).toBe(1)
    expect(output).toMatch(message)
    expect(output).not.toMatch(/ at .*\.js:\d/)
    expect(filesIn(directory)).toEqual(['full', join('full', 'package.json')])
  })

  it('tells its usage and its version', async () => {
    const help = await create(place(), ['--help'])
    expect(help).toMatchObject({
      code: 0,
      output: expect.stringContaining('npm create broadcaster [directory]'),
    })
    const version = await create(place(), ['--version'])
    expect(version).toEqual({ code: 0, output: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) })
  })
})

describe('in a terminal, npm create broadcaster', () => {
  /** Types a line for each question. */
  async function answer(wanted: Wanted, lines: readonly string[]) {
    const input = new PassThrough()
    const output = new PassThrough()
    const rest = [...lines]
    let shown = ''
    output.on('data', (chunk) => {
      shown += String(chunk)
      if (!shown.endsWith('): ')) return
      if (rest.length > 0) input.write(`${rest.shift()}\n`)
      else input.end()
    })
    const answers = await ask(wanted, input, output).catch((error: Error) => error.message)
    return { answers, shown }
  }

  it('asks for the directory and the template, and has defaults', async () => {
    const { answers, shown } = await answer({}, ['', ''])
    expect(answers).toEqual({ directory: 'broadcaster-app', template: 'vite' })
    expect(shown).toMatch(/1 {2}vite .*\n.*2 {2}next .*\n.*3 {2}server /)
  })

  it('asks only for what is missing, until the answer is good', async () => {
    const { answers, shown } = await answer({ directory: 'app' }, ['7', 'svelte', '3'])
    expect(answers).toEqual({ directory: 'app', template: 'server' })
    expect(shown.match(/Type 1 to 3/g)).toHaveLength(2)
    const again = await answer({ template: 'next' }, [import.meta.dirname, 'app'])
    expect(again.answers).toEqual({ directory: 'app', template: 'next' })
    expect(again.shown).toContain('is not empty')
  })

  it('ends when the terminal does', async () => {
    expect((await answer({}, ['app'])).answers).toBe('ended, nothing was made')
  })
})

describe('the name of the package', () => {
  it.each([
    ['my-app', 'my-app'],
    ['My App', 'my-app'],
    ['@acme/news', '@acme/news'],
    ['apps/news/', 'news'],
    ['C:\\work\\News', 'news'],
    ['.hidden', 'hidden'],
    ['_private', 'private'],
    ['Überraschung', 'uberraschung'],
    ['新闻', 'broadcaster-app'],
    ['node_modules', 'node-modules-app'],
    ['http', 'http-app'],
    // npm: "Refusing to install react as a dependency of itself".
    ['react', 'react-app'],
    ['resolve.exports', 'resolve.exports'],
    ['x'.repeat(300), 'x'.repeat(210)],
  ])('of %s is %s', (directory, name) => {
    expect(packageNameFor(directory, ['react'])).toBe(name)
  })
})
