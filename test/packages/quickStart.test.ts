import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire, isBuiltin } from 'node:module'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, it } from 'vitest'
import { blocksOf, textOf, type Block } from '../docs/documents.ts'
import { launchChromium } from '../support/chromium.ts'
import { startRedis } from '../support/redis.ts'
import { freePort } from '../support/redisServer.ts'
import { tidy } from '../support/tidy.ts'
import { until, within } from '../support/waiting.ts'
import { packed, run } from './packed.ts'

// The quick start, word by word: its files are written, and its commands are executed, in the order of the page.

const document = 'docs/quick-start.md'
const project = join(packed, 'live')
const vite = join(dirname(createRequire(import.meta.url).resolve('vite/package.json')), 'bin/vite.js')

it('leads to a page with React, a page without React, and a program, that show what is published', async () => {
  rmSync(project, { recursive: true, force: true })
  const redis = tidy(await startRedis())
  const port = await freePort()
  const url = `http://localhost:${port}`
  const env = { PORT: String(port), REDIS_URL: redis.url }
  const browser = tidy(await launchChromium())
  const installed = new Set<string>()

  /** Does what a block of the page says. Returns the process of a command that does not end. */
  async function follow({ language, text }: Block): Promise<ChildProcess | undefined> {
    if (language !== 'sh') return void write(text, installed)
    let started: ChildProcess | undefined
    for (const command of text.trim().split('\n')) {
      const [program, ...words] = command.split(' ')
      if (command === 'mkdir live && cd live') mkdirSync(project)
      else if (command.startsWith('npm init')) shell(command)
      // Nothing is loaded: the packages are those of the repository, ours from the tarballs.
      else if (command.startsWith('npm install'))
        for (const name of words.slice(1))
          if (!name.startsWith('-')) installed.add(name)
          else expect(name).toBe('--save-dev')
      else if (command === 'npx vite build') await build()
      else if (program === 'redis-cli') await redis.cli(...words)
      else if (program === 'node')
        started = start(command === 'node listen.js' ? [...words, `${url}/broadcast`] : words, env)
      else throw new Error(`The test does not know the command ${command}`)
    }
    return started
  }

  async function open(path: string) {
    const page = await browser.newPage()
    await page.goto(url + path)
    await page.getByRole('status').filter({ hasText: 'subscribed' }).waitFor()
    return page
  }
  const shows = async (page: Awaited<ReturnType<typeof open>>, ...bodies: readonly string[]) =>
    until(`the page to show ${bodies.join(', ')}`, async () => {
      return (await page.getByRole('listitem').allTextContents()).join() === bodies.join()
    })

  for (const block of below('A server')) await follow(block)
  let server: ChildProcess | undefined
  for (const block of below('A page with React')) server = (await follow(block)) ?? server
  await within(once(createInterface({ input: server!.stdout! }), 'line'), 'the server to listen')
  const page = await open('/')

  for (const block of below('A message')) await follow(block)
  await shows(page, 'hello')
  // "Stop the server, start it again, and publish"
  server!.kill()
  await once(server!, 'exit')
  server = start(['server.js'], env)
  await within(once(createInterface({ input: server.stdout! }), 'line'), 'the server to listen again')
  await page.getByRole('status').filter({ hasText: 'subscribed' }).waitFor()
  await redis.cli('PUBLISH', 'news', 'again')
  await shows(page, 'hello', 'again')

  for (const block of below('A page without React')) await follow(block)
  await build()
  const plain = await open('/plain.html')

  let listener: ChildProcess | undefined
  for (const block of below('A program in Node')) listener = (await follow(block)) ?? listener
  const heard = within(once(createInterface({ input: listener!.stdout! }), 'line'), 'the program to print')
  await until('three listeners at one node', async () => {
    await redis.cli('PUBLISH', 'news', 'to all')
    return Promise.race([heard.then(() => true), new Promise((resolve) => setTimeout(resolve, 200))])
  })
  expect(await heard).toEqual(['to all'])
  await plain.getByRole('listitem').filter({ hasText: 'to all' }).first().waitFor()
})

/** The blocks below a heading. */
function below(heading: string): Block[] {
  const lines = textOf(document).split('\n')
  const from = lines.indexOf(`## ${heading}`) + 1
  expect(from, `the heading ${heading}`).toBeGreaterThan(0)
  const length = lines.slice(from).findIndex((line) => line.startsWith('## '))
  return blocksOf(document).filter(({ line }) => line > from && line < from + length)
}

/** Writes the file that the first line of the block names. It may import only what the page has installed. */
function write(text: string, installed: ReadonlySet<string>): void {
  const [, name] = /^(?:\/\/|<!--) (\S+)/.exec(text) ?? []
  if (name === undefined) throw new Error(`A block of ${document} names no file:\n${text}`)
  for (const [, imported] of text.matchAll(/from '([^'.]+)'/g)) {
    const found = [...installed].some((one) => imported === one || imported!.startsWith(`${one}/`))
    if (!isBuiltin(imported!)) expect({ imported, found }).toEqual({ imported, found: true })
  }
  const path = join(project, name)
  mkdirSync(dirname(path), { recursive: true })
  expect(existsSync(path), `${name} is written once`).toBe(false)
  writeFileSync(path, text)
}

function shell(command: string): void {
  const { status, stderr } = spawnSync('sh', ['-c', command], { cwd: project, encoding: 'utf8' })
  expect(status, stderr).toBe(0)
}

async function build(): Promise<void> {
  const { code, output } = await run('live', [vite, 'build'])
  expect(code, output).toBe(0)
}

function start(args: readonly string[], env: Readonly<Record<string, string>>): ChildProcess {
  const { NODE_OPTIONS: _, NODE_ENV: __, ...own } = process.env
  const child = spawn(process.execPath, args, {
    cwd: project,
    env: { ...own, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  tidy({ stop: () => child.kill('SIGKILL') })
  return child
}
