import { Redis } from 'ioredis'
import { Redis as Redis5 } from 'ioredis5'
import { describe, expect, it } from 'vitest'
import { databaseOf } from '../../server/src/backends/databases.ts'

/**
 * The code reads the URL without ioredis, which may not be installed. If it read another database than ioredis, the nodes of an
 * application could use different control channels.
 */
describe('the database of a URL is the one that ioredis reads', () => {
  it.each([
    ['redis://localhost'],
    ['redis://localhost/'],
    ['redis://localhost:6380/6'],
    ['redis://localhost/06'],
    ['REDIS://localhost/6'],
    ['rediss://me:h%2Fush@localhost/6'],
    ['redis://localhost?db=6'],
    ['redis://localhost/?db=6&db=7'],
    ['redis://localhost/5?db=6'],
    ['redis://localhost/6?family=6'],
    ['redis://[::1]:6379/6#fragment'],
    ['/tmp/redis.sock'],
    ['/tmp/6'],
    ['/tmp/redis.sock?db=6'],
    ['unix:///tmp/redis.sock'],
    ['unix:///tmp/redis.sock?db=6'],
  ])('%s', (url) => {
    for (const Client of [Redis, Redis5 as unknown as typeof Redis]) {
      expect(databaseOf(url)).toBe(new Client(url, { lazyConnect: true }).options.db)
    }
  })
})
