import { Redis } from 'ioredis'

/**
 * Sends one command on a connection of its own, and returns the reply as `redis-cli` prints it. `-a` and `-n` are the
 * password and the database, as for `redis-cli`. To start that program takes longer than most tests.
 */
export async function redisCli(port: number, args: readonly string[]): Promise<string> {
  const [options, [name, ...rest]] = readOptions(args)
  const redis = new Redis({
    port,
    ...options,
    lazyConnect: true,
    enableReadyCheck: false,
    disableClientInfo: true,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
  })
  // The command is rejected, too.
  redis.on('error', () => {})
  try {
    await redis.connect()
    return text(await redis.call(name!, ...rest))
  } catch (error) {
    if ((error as Error).name === 'ReplyError') return (error as Error).message
    throw error
  } finally {
    redis.disconnect()
  }
}

function readOptions(args: readonly string[]): [{ password?: string; db?: number }, readonly string[]] {
  const [flag, value, ...rest] = args
  if (flag !== '-a' && flag !== '-n') return [{}, args]
  const [options, command] = readOptions(rest)
  return [{ ...options, ...(flag === '-a' ? { password: value! } : { db: Number(value) }) }, command]
}

const text = (reply: unknown): string =>
  Array.isArray(reply) ? reply.map(text).join('\n') : String(reply ?? '').trimEnd()
