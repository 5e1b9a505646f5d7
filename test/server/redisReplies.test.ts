import { describe, expect, it } from 'vitest'
import { isDenied, troubleOf } from '../../server/src/backends/redisReplies.ts'
import { subscribeEach } from '../../server/src/backends/subscribeEach.ts'

const reply = (text: string) => Object.assign(new Error(text), { name: 'ReplyError' })

/** Error replies of other versions of Redis than the one of the tests, unchanged. */
describe('an error reply of Redis', () => {
  it.each([
    ["OOM command not allowed when used memory > 'maxmemory'.", 'OOM'],
    // Redis 6, in a script.
    [
      "ERR Error running script (call to f_3aac): @user_script:1: @user_script: 1: -READONLY You can't write against a read only replica.",
      'READONLY',
    ],
    [
      'ERR Error running script (call to f_3aac): @user_script:5: @user_script: 5: -OOM command not allowed',
      'OOM',
    ],
    ['LOADING Redis is loading the dataset in memory', 'LOADING'],
    ["MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", 'MASTERDOWN'],
    ['CLUSTERDOWN The cluster is down', 'CLUSTERDOWN'],
    ['NOREPLICAS Not enough good replicas to write.', 'NOREPLICAS'],
    ["NOPERM this user has no permissions to run the 'eval' command", 'NOPERM'],
    ["NOPERM User live has no permissions to run the 'eval' command", 'NOPERM'],
    ['NOPERM No permissions to access a channel', 'NOPERM'],
    // Redis 7.2, in a script.
    [
      "NOPERM ACL failure in script: User live has no permissions to run the 'set' command script: db8d, on @user_script:1.",
      'NOPERM',
    ],
    // Redis 6 and 7.0, in a script.
    [
      "ERR The user executing the script can't run this command or subcommand script: db8d, on @user_script:1.",
      'NOPERM',
    ],
    ['NOSCRIPT No matching script. Please use EVAL.', null],
    ['WRONGTYPE Operation against a key holding the wrong kind of value', null],
    ['MOVED 3999 127.0.0.1:6381', null],
  ])('%s', (text, code) => {
    expect(troubleOf(reply(text))).toBe(code)
    expect(isDenied(reply(text))).toBe(code === 'NOPERM')
  })

  it('is not an error of ioredis about a connection', () => {
    for (const text of ['Connection is closed.', 'Command timed out', 'connect ECONNREFUSED READONLY']) {
      expect(troubleOf(new Error(text))).toBeNull()
    }
  })
})

describe('channels that are subscribed one by one, because Redis refuses one of them', () => {
  const denied = reply('NOPERM No permissions to access a channel')

  it('are subscribed, except those that it refuses', async () => {
    const subscribe = async (channel: string) => {
      if (channel === 'b') throw denied
    }
    expect(await subscribeEach(['a', 'b', 'c'], subscribe)).toEqual(['b'])
  })

  it('are not refused if the connection breaks meanwhile', async () => {
    const subscribe = async (channel: string) => {
      if (channel !== 'a') throw channel === 'b' ? denied : new Error('Connection is closed.')
    }
    await expect(subscribeEach(['a', 'b', 'c'], subscribe)).rejects.toMatchObject({
      code: 'brokerUnavailable',
    })
  })
})
