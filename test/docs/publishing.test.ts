import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { describe, expect, it } from 'vitest'
import { onlyIf } from '../support/onlyIf.ts'
import { startRedis } from '../support/redis.ts'
import { tidy } from '../support/tidy.ts'
import { within } from '../support/waiting.ts'

// The programs of docs/publishing.md, run with the languages that this machine has.

interface Language {
  /** The command that runs a program, without the path of the program. The first one that `has` succeeds with is used. */
  readonly commands: readonly (readonly string[])[]
  /** Arguments with which a command succeeds if it has the library that the program uses. */
  readonly has: readonly string[]
  readonly extension: string
  readonly needs: string
}

const languages: Readonly<Record<string, Language>> = {
  sh: { commands: [['sh']], has: ['-c', 'redis-cli --version'], extension: 'sh', needs: 'redis-cli' },
  js: { commands: [[process.execPath]], has: ['--version'], extension: 'mjs', needs: 'Node' },
  python: {
    commands: [['python3'], ['/usr/bin/python3']],
    has: ['-c', 'import redis'],
    extension: 'py',
    needs: 'Python with redis-py (python3-redis)',
  },
  php: {
    commands: [['php']],
    has: ['-r', 'exit(class_exists("Redis") ? 0 : 1);'],
    extension: 'php',
    needs: 'PHP with phpredis (php-cli php-redis)',
  },
  ruby: {
    commands: [['ruby']],
    has: ['-e', 'require "redis"'],
    extension: 'rb',
    needs: 'Ruby with redis-rb (ruby-redis)',
  },
  perl: {
    commands: [['perl']],
    has: ['-e', 'use Redis'],
    extension: 'pl',
    needs: 'Perl with Redis (libredis-perl)',
  },
}
/** They need a project and a compiler. */
const notRun = ['go', 'java']

const page = readFileSync(join(import.meta.dirname, '../../docs/publishing.md'), 'utf8')
const programs = [...page.matchAll(/^```(\w+)\n(.*?)^```$/gms)]
  .map(([, language, text]) => ({ language: language!, text: text! }))
  .filter(({ language }) => language !== 'ts')

const commandOf = ({ commands, has }: Language) =>
  commands.find(([file, ...args]) => spawnSync(file!, [...args, ...has]).status === 0)

describe('docs/publishing.md', () => {
  it('has a program in each language', () => {
    const all = programs.map(({ language }) => language)
    expect(all.toSorted()).toEqual([...Object.keys(languages), ...notRun].toSorted())
  })

  for (const { language, text } of programs.filter((program) => !notRun.includes(program.language))) {
    const { extension, needs, ...rest } = languages[language]!
    const command = commandOf({ extension, needs, ...rest })
    it(`the program in ${language} publishes the message`, onlyIf(command, needs), async () => {
      const redis = tidy(await startRedis())
      const subscriber = new Redis(redis.url)
      tidy({ close: () => subscriber.disconnect() })
      await subscriber.subscribe('orders')
      const heard = new Promise<unknown>((resolve) =>
        subscriber.on('message', (_channel, body) => resolve(JSON.parse(body))),
      )
      // Below the packages of the tests, so that the program in JavaScript finds ioredis.
      const directory = join(import.meta.dirname, '../node_modules/.publishing')
      mkdirSync(directory, { recursive: true })
      const path = join(directory, `publish.${extension}`)
      writeFileSync(path, text)
      const [file, ...args] = command!
      const { status, stderr } = spawnSync(file!, [...args, path], {
        env: { ...process.env, REDIS_URL: redis.url },
        encoding: 'utf8',
      })
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
      expect(await within(heard, 'the message')).toEqual({ id: 7 })
    })
  }
})
