import { afterAll, describe, expect, it } from 'vitest'
import { publisherTo } from '../support/publisher.ts'
import { startRedis } from '../support/redis.ts'
import { startServer } from '../support/server.ts'
import { tidy } from '../support/tidy.ts'
import { differences, type Difference } from './differences.ts'
import { replay } from './replay.ts'
import { readTranscripts } from './transcript.ts'

const redis = tidy(await startRedis())
const publisher = tidy(publisherTo(redis.url))
const met = new Set<Difference>()

describe('clients of the original get the recorded answers', () => {
  afterAll(() => {
    // If no recording has a declared difference, the declaration or the recording is out of date.
    expect(differences.filter((difference) => !met.has(difference))).toEqual([])
  })

  it.each(readTranscripts().map((transcript) => ({ ...transcript, transcript })))(
    '$name: $title',
    async ({ name, transcript }) => {
      const options = {
        redis: redis.url,
        canConnect: (auth: Record<string, unknown>) => !('bad' in auth),
        canSubscribe: (_: unknown, channel: string) => channel !== 'secret',
        timeout: 2000,
        pollTime: 200,
      }
      const servers = { A: tidy(await startServer(options)), B: tidy(await startServer(options)) }
      for (const difference of differences.filter(({ transcript }) => transcript === name)) {
        console.log(`${name}, to ${difference.to}: ${difference.why}`)
      }
      for (const difference of await replay(transcript, { servers, publisher })) met.add(difference)
    },
  )
})
