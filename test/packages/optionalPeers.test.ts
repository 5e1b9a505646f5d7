import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  symlinkSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { inFull } from '../support/extent.ts'
import { startRedis } from '../support/redis.ts'
import { tidy } from '../support/tidy.ts'
import { compile, packed, run } from './packed.ts'

const require = createRequire(import.meta.url)
const repository = join(import.meta.dirname, '..', '..', 'node_modules')

/**
 * An installation outside of the repository, like that of `npm install express @broadcaster/server` with the types of Express.
 * Neither ioredis nor the types of `ws` can be resolved from it.
 */
const alone = realpathSync(mkdtempSync(join(tmpdir(), 'broadcaster-alone-')))
tidy({ stop: () => rmSync(alone, { recursive: true, force: true }) })
cpSync(join(packed, 'alone'), alone, { recursive: true })
for (const name of ['server', 'channels', 'protocol']) {
  const path = join('node_modules', '@broadcaster', name)
  cpSync(join(packed, path), join(alone, path), { recursive: true })
}
const types = [
  'node',
  'express',
  'express-serve-static-core',
  'body-parser',
  'connect',
  'http-errors',
  'mime',
]
const others = ['send', 'serve-static', 'qs', 'range-parser']
mkdirSync(join(alone, 'node_modules', '@types'))
for (const name of [
  'express',
  'express-ws',
  'cors',
  'undici-types',
  ...[...types, ...others].map((type) => `@types/${type}`),
]) {
  if (existsSync(join(repository, name)))
    symlinkSync(join(repository, name), join(alone, 'node_modules', name))
}

describe('without ioredis, which is an optional peer dependency', () => {
  const ways: [string, string[]][] = [
    ['import', ['import.mjs']],
    ['require()', ['require.cjs']],
    ['require() of the CommonJS build', ['--no-experimental-require-module', 'require.cjs']],
  ]

  const chosen = inFull(ways, [ways[0]!, ways[2]!])

  it('neither ioredis nor the types of ws can be resolved', () => {
    const { resolve } = createRequire(join(alone, 'require.cjs'))
    expect(() => resolve('ioredis')).toThrow()
    expect(readdirSync(join(alone, 'node_modules', '@types'))).not.toContain('ws')
  })

  it.each(chosen)('redis: false starts, by %s', async (_, args) => {
    const { code, output } = await run(alone, [...args, 'false'])
    expect(code, output).toBe(0)
    expect(JSON.parse(output)).toEqual({ isReady: true, logged: [] })
  })

  it.each(chosen)(
    'with a URL or options, ready() rejects and says what to install, by %s',
    async (_, args) => {
      for (const redis of [['url', 'redis://127.0.0.1:1'], ['options']]) {
        const { code, output } = await run(alone, [...args, ...redis])
        expect(code, output).toBe(0)
        expect(JSON.parse(output)).toMatchObject({
          name: 'BroadcasterError',
          code: 'invalidOption',
          message: expect.stringMatching(/ioredis.*npm install ioredis.*redis: false/),
          logged: ['The broadcaster cannot start'],
        })
      }
    },
  )

  it.each(chosen)('an instance of another ioredis starts, by %s', async (_, args) => {
    const redis = tidy(await startRedis())
    for (const version of ['ioredis', 'ioredis5']) {
      const { code, output } = await run(alone, [...args, 'instance', redis.url, require.resolve(version)])
      expect(code, output).toBe(0)
      expect(JSON.parse(output)).toEqual({ isReady: true, logged: [] })
    }
  })
})

describe('TypeScript without the types of ioredis and of ws', () => {
  const strictest = ['nodenext', 'nodenext', 'false'] as const
  const others = [
    ['nodenext', 'nodenext', 'true'],
    ['preserve', 'bundler', 'false'],
  ] as const

  it.each(inFull([strictest, ...others], [strictest]))(
    'module %s, resolution %s, skipLibCheck %s',
    async (module, moduleResolution, skipLibCheck) => {
      const options = { module, moduleResolution, skipLibCheck }
      const { code, output } = await compile(alone, ['esm.mts', 'cjs.cts'], options)
      expect(code, output).toBe(0)
    },
  )
})
