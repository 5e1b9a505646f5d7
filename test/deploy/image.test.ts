import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, copyFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { expect, it } from 'vitest'
import { onlyFull } from '../support/extent.ts'
import { freePort } from '../support/redisServer.ts'
import { tidy } from '../support/tidy.ts'
import { until, within } from '../support/waiting.ts'
import { instructionsOf } from './dockerfile.ts'

const root = join(import.meta.dirname, '..', '..')
const { NODE_OPTIONS: _, NODE_ENV: __, ...own } = process.env

it(
  'the steps of the Dockerfile, executed in a copy of the repository, make a node that another user can run',
  { timeout: 900_000, ...onlyFull },
  async () => {
    const dir = mkdtempSync(join(tmpdir(), 'broadcaster-image-'))
    tidy({ stop: () => rmSync(dir, { recursive: true, force: true }) })
    chmodSync(dir, 0o755)
    const [built, image] = [join(dir, 'built'), join(dir, 'image')]
    const [build, final] = instructionsOf(readFileSync(join(root, 'deploy/Dockerfile'), 'utf8'))

    for (const { name, text } of build!) {
      if (name === 'COPY') expect(text).toBe('. .')
      if (name === 'COPY') copyContext(built)
      if (name === 'RUN') run(text, built)
    }
    mkdirSync(image)
    const env: Record<string, string> = {}
    const commands: Record<string, string[]> = {}
    for (const { name, text } of final!) {
      if (name === 'COPY') {
        const [, sources] = /^--from=build (.*) \.\/$/.exec(text)!
        for (const source of sources!.split(' ')) copyAsDocker(source.replace('/app', built), image)
      }
      if (name === 'ENV') Object.assign(env, Object.fromEntries(text.split(' ').map((one) => one.split('='))))
      if (name === 'CMD' || name === 'HEALTHCHECK') {
        commands[name] = JSON.parse(text.slice(text.indexOf('['))) as string[]
      }
    }
    // The image has nothing else. What the build needed is gone.
    rmSync(built, { recursive: true })

    // `USER node` is the user 1000, who may not be allowed to execute the Node.js that runs this test.
    const executable = join(dir, 'node')
    copyFileSync(process.execPath, executable)
    const another = process.getuid?.() === 0 ? { uid: 1000, gid: 1000 } : {}
    const start = ([program, ...args]: readonly string[]) => {
      expect(program).toBe('node')
      return spawn(executable, args, {
        cwd: image,
        env: { PATH: own['PATH'], ...env, PORT: String(port) },
        stdio: ['ignore', 'ignore', 'inherit'],
        ...another,
      })
    }
    const port = await freePort()
    const node = start(commands['CMD']!)
    tidy({ stop: () => node.kill('SIGKILL') })
    const ended = once(node, 'exit')
    const get = (path: string) => fetch(`http://127.0.0.1:${port}${path}`).catch(() => null)
    await until('the node to be healthy', async () => (await get('/broadcast/health'))?.status === 200)
    expect(await once(start(commands['HEALTHCHECK']!), 'exit')).toEqual([0, null])
    expect(await (await get('/'))!.text()).toContain('<div id="root">')

    node.kill('SIGTERM')
    expect(await within(ended, 'the node to end')).toEqual([0, null])
  },
)

function run(command: string, cwd: string): void {
  const { status, stderr } = spawnSync('sh', ['-c', command], { cwd, env: own, encoding: 'utf8' })
  expect(status, `${command}: ${stderr}`).toBe(0)
}

/** What `COPY . .` copies: everything but what `Dockerfile.dockerignore` names. */
function copyContext(to: string): void {
  const ignored = readFileSync(join(root, 'deploy/Dockerfile.dockerignore'), 'utf8').trim().split('\n')
  expect(ignored).toEqual(['.git', '**/node_modules', '**/dist'])
  const names = ignored.map((one) => basename(one))
  cpSync(root, to, { recursive: true, filter: (path) => !names.includes(basename(path)) })
}

/** Docker copies the contents of a directory, or a file. */
function copyAsDocker(source: string, to: string): void {
  const isFile = /\.\w+$/.test(source)
  cpSync(source, isFile ? join(to, basename(source)) : to, { recursive: true })
  mkdirSync(dirname(to), { recursive: true })
}
