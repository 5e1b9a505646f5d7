#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { relative } from 'node:path'
import { readArguments, usage, type Wanted } from './arguments.ts'
import { ask } from './ask.ts'
import { CreateError } from './errors.ts'
import { packageManager } from './packageManager.ts'
import { makeProject } from './project.ts'

try {
  await main()
} catch (error) {
  if (!(error instanceof CreateError)) throw error
  console.error(`create-broadcaster: ${error.message}`)
  process.exitCode = 1
}

async function main(): Promise<void> {
  const read = readArguments(process.argv.slice(2))
  if (read === 'help') return console.log(usage)
  if (read === 'version') return console.log(version())
  // A runner of CI may have a terminal, but nobody types there.
  const isInteractive = process.stdin.isTTY && process.stdout.isTTY && !process.env['CI']
  const { directory, template } = isInteractive ? await ask(read) : withDefaults(read)
  const manager = packageManager(process.env['npm_config_user_agent'])
  const project = await makeProject(directory, template, manager)

  const path = relative(process.cwd(), project.directory)
  const enter = path === '' ? [] : [`cd ${/[^\w./\\@-]/.test(path) ? `"${path}"` : path}`]
  const steps = [...enter, manager.install, manager.run('dev'), manager.run('test')]
  console.log(`${project.name} is made from the template ${template}. Next:

${steps.map((step) => `  ${step}`).join('\n')}

The page is on http://localhost:3000. It needs no Redis. With REDIS_URL=redis://localhost:6379 in the environment, it shows
what is published there.`)
}

function withDefaults({ directory = 'broadcaster-app', template = 'vite' }: Wanted): Required<Wanted> {
  return { directory, template }
}

function version(): string {
  const manifest = new URL('../package.json', import.meta.url)
  return (JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }).version
}
