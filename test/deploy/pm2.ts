import { execFile } from 'node:child_process'
import { copyFile, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { demoProgram } from '../support/demoNode.ts'

export type Pm2 = {
  /** Runs a command of PM2 for `deploy/ecosystem.config.cjs`. Resolves with what it prints. */
  run(command: 'start' | 'reload' | 'jlist'): Promise<string>
  close(): Promise<unknown>
}

const deploy = join(import.meta.dirname, '..', '..', 'deploy')

/** PM2 with a daemon of its own, and a copy of the configuration with a built demo beside it. */
export async function installPm2(env: Readonly<Record<string, string>>): Promise<Pm2> {
  const dir = await mkdtemp(join(tmpdir(), 'broadcaster-pm2-'))
  const [config, dist] = [join(dir, 'deploy', 'ecosystem.config.cjs'), join(dir, 'demo', 'dist')]
  await mkdir(dist, { recursive: true })
  await mkdir(dirname(config))
  await copyFile(join(deploy, 'ecosystem.config.cjs'), config)
  await copyFile(demoProgram(), join(dist, 'server.mjs'))
  const pm2 = join(dirname(createRequire(import.meta.url).resolve('pm2/package.json')), 'bin', 'pm2')
  const { NODE_OPTIONS: _, ...own } = process.env
  const options = { env: { ...own, PM2_HOME: dir, PM2_DISCRETE_MODE: 'true', ...env } }
  const run = async (...args: string[]) =>
    (await promisify(execFile)(process.execPath, [pm2, ...args], options)).stdout
  return {
    run: (command) => (command === 'jlist' ? run(command) : run(command, config)),
    close: async () => {
      await run('kill')
      await rm(dir, { recursive: true, force: true })
    },
  }
}
