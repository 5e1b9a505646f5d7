import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, expect, it } from 'vitest'
import { signIn } from '../support/connect.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { startServer } from '../support/server.ts'
import { tidy } from '../support/tidy.ts'
import type { WebSocketPeer } from '../support/webSocketPeer.ts'
import { blocks, blocksOf } from './documents.ts'

/** Blocks that contain nothing but commands for Redis. docs/publishing.md has a test of its own. */
const commands = blocks.filter(
  ({ language, text, document }) =>
    language === 'sh' && /^redis-cli (?!-u)/.test(text) && document !== 'docs/publishing.md',
)

/** Runs the text in a shell in which `redis-cli` asks this Redis, and fails if Redis does. */
async function run(text: string, redis: TestRedis): Promise<string> {
  const shell = `set -e\nredis-cli() { command redis-cli -e -p ${redis.port} "$@"; }\n${text}`
  const child = spawn('bash', ['-c', shell], { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += String(chunk)))
  const [code] = await once(child, 'close')
  expect(code, output).toBe(0)
  return output
}

describe('Redis accepts the commands of', () => {
  it.each(commands)('$document:$line', async ({ text }) => {
    const redis = tidy(await startRedis({ args: ['--save', ''] }))
    await run(text, redis)
  })

  it('several documents', () => {
    const documents = new Set(commands.map(({ document }) => document))
    expect([...documents]).toEqual(
      expect.arrayContaining(['README.md', 'docs/quick-start.md', 'docs/security.md', 'docs/tokens.md']),
    )
  })
})

it('The commands of docs/tokens.md ask for credentials, disconnect, and take a channel away', async () => {
  const redis = tidy(await startRedis())
  const server = tidy(
    await startServer({
      redis: redis.url,
      controlChannel: 'broadcaster',
      canConnect: ({ user }) => ({ user }),
    }),
  )
  const { text } = blocksOf('docs/tokens.md').find(({ language }) => language === 'sh')!
  const command = (type: string) => text.split('\n').find((line) => line.includes(`"${type}"`))!
  const come = async () => {
    const client = await signIn(server, { transport: 'websocket', auth: { user: 5, __v: 2 } })
    await client.subscribe('orders')
    return client as WebSocketPeer
  }
  const [alice, bob] = [await come(), await come()]

  await run(command('unsubscribe'), redis)
  for (const client of [alice, bob])
    expect(await client.next()).toMatchObject({ __type: 'unsubscribed', channel: 'orders' })
  await run(command('reauthorize'), redis)
  for (const client of [alice, bob]) expect(await client.closed).toMatchObject({ code: 4411 })
  const carol = await come()
  await run(command('disconnect'), redis)
  expect(await carol.closed).toMatchObject({ code: 4403 })
})
