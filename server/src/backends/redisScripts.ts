import { createHash } from 'node:crypto'
import { wasCutOff, type Commands } from './redisConnection.ts'

type RedisScript = (keys: readonly string[], ...args: (string | number | Buffer)[]) => Promise<unknown>

export type RedisScripts<Name extends string> = Readonly<Record<Name, RedisScript>>

/** Lua scripts as functions. If the connection breaks before the reply, a script is run again, unless `unrepeatable` has its name. */
export function redisScripts<Name extends string>(
  redis: Commands,
  scripts: Readonly<Record<Name, string>>,
  unrepeatable: ReadonlySet<string>,
): RedisScripts<Name> {
  const run = Object.entries<string>(scripts).map(([name, lua]) => [
    name,
    script(redis, lua, !unrepeatable.has(name)),
  ])
  return Object.fromEntries(run) as RedisScripts<Name>
}

/** Runs a script by its hash. The text of the script is sent only if Redis does not know the script yet, or no longer. */
function script(redis: Commands, lua: string, mayRepeat: boolean): RedisScript {
  const hash = createHash('sha1').update(lua).digest('hex')
  let isKnown = false
  const run: RedisScript = async (keys, ...args) => {
    // The text is sent first if the script is not known to be loaded. If EVALSHA failed, the retry would run after
    // commands that were sent in between, and polls would begin in a different order.
    if (isKnown) {
      try {
        return await redis.evalsha(hash, keys.length, ...keys, ...args)
      } catch (error) {
        if (!(error as Error).message.startsWith('NOSCRIPT')) throw error
        isKnown = false
      }
    }
    const reply = await redis.eval(lua, keys.length, ...keys, ...args)
    isKnown = true
    return reply
  }
  return async (keys, ...args) => {
    try {
      return await run(keys, ...args)
    } catch (error) {
      if (!mayRepeat || !wasCutOff(error)) throw error
      return run(keys, ...args)
    }
  }
}
