import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { demoProgram } from '../support/demoNode.ts'
import { onlyIf } from '../support/onlyIf.ts'
import { startRedis } from '../support/redis.ts'
import { freePort } from '../support/redisServer.ts'
import { tidy } from '../support/tidy.ts'
import { within } from '../support/waiting.ts'
import { valuesOf } from './unit.ts'

const unit = await readFile(join(import.meta.dirname, '..', '..', 'deploy', 'broadcaster@.service'), 'utf8')
const isInstalled = (command: string): boolean => spawnSync(command, ['--version']).status === 0

async function directory(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'broadcaster-systemd-'))
  tidy({ stop: () => rm(dir, { recursive: true, force: true }) })
  return dir
}

it(
  'systemd-analyze finds nothing wrong in the unit',
  onlyIf(isInstalled('systemd-analyze'), 'systemd-analyze'),
  async () => {
    const dir = await directory()
    const path = join(dir, 'broadcaster@3001.service')
    // It also checks whether the programs exist.
    const here = unit.replaceAll('/usr/bin/node', process.execPath).replace('/usr/bin/curl', '/bin/sh')
    await writeFile(path, here.replace('/srv/broadcaster', dir))
    const { status, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', path], {
      encoding: 'utf8',
    })
    expect(stderr).toBe('')
    expect(status).toBe(0)
  },
)

it(
  'the commands of the unit start a node, wait until it can serve clients, and stop it',
  onlyIf(isInstalled('curl'), 'curl'),
  async () => {
    const redis = tidy(await startRedis())
    const port = await freePort()
    const dir = await directory()
    await copyFile(demoProgram(), join(dir, 'server.mjs'))
    const words = (key: string) => valuesOf(unit, key)[0]!.replaceAll('%i', String(port)).split(' ')
    const environment = words('Environment').map((word) => word.split(/=(.*)/s).slice(0, 2))
    const env = { ...Object.fromEntries(environment), REDIS_URL: redis.url } as Record<string, string>

    const [program, ...args] = words('ExecStart')
    expect(program).toBe('/usr/bin/node')
    const node = spawn(process.execPath, args, { cwd: dir, env, stdio: ['ignore', 'ignore', 'inherit'] })
    tidy({ stop: () => node.kill('SIGKILL') })
    const ended = once(node, 'exit')
    const [curl, ...asked] = words('ExecStartPost')
    expect(curl).toBe('/usr/bin/curl')
    const [code] = await within(once(spawn('curl', asked, { stdio: 'ignore' }), 'exit'), 'curl')
    expect(code).toBe(0)

    node.kill('SIGTERM')
    expect(await within(ended, 'the node to end')).toEqual([0, null])
  },
)
