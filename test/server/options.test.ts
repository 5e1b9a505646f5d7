import { BroadcasterError, broadcaster, type BroadcasterOptions } from '@broadcaster/server'
import { describe, expect, it } from 'vitest'

describe('options', () => {
  it.each<[problem: string, options: unknown, message: RegExp]>([
    ['an unknown option', { pollTimeMs: 5 }, /pollTimeMs/],
    ['an unknown limit', { limits: { bytes: 5 } }, /limits\.bytes/],
    ['an unknown recovery option', { recovery: { seconds: 5 } }, /recovery\.seconds/],
    ['a timeout that is no number', { timeout: '30s' }, /timeout.*"30s"/],
    ['a timeout of nothing', { timeout: 0 }, /timeout.*0/],
    ['a negative timeout', { timeout: -1 }, /timeout.*-1/],
    ['a timeout that is not a number', { timeout: Number.NaN }, /timeout.*NaN/],
    ['a poll time as long as the timeout', { timeout: 500, pollTime: 500 }, /pollTime.*500/],
    ['a negative poll time', { pollTime: -1 }, /pollTime/],
    ['a limit of nothing', { limits: { connections: 0 } }, /limits\.connections/],
    ['a limit that is text', { limits: { messageBytes: '1mb' } }, /limits\.messageBytes/],
    ['a window of nothing', { recovery: { window: 0 } }, /recovery\.window/],
    ['a callback that is none', { canConnect: true }, /canConnect/],
    ['another', { canSubscribe: 'everyone' }, /canSubscribe/],
    ['an origin that is no list', { checkOrigin: 'https://app.example' }, /checkOrigin/],
    ['an empty control channel', { controlChannel: '' }, /controlChannel/],
    ['a control channel that is no text', { controlChannel: 5 }, /controlChannel/],
    ['a namespace that is no text', { controlNamespace: 5 }, /controlNamespace/],
    ['pub/sub on Redis without Redis', { redis: false, pubSub: 'redis://localhost:6379' }, /pubSub/],
    ['true for Redis', { redis: true }, /redis/],
    ['a number for Redis', { redis: 6379 }, /redis/],
    ['an address that is no Redis URL', { redis: 'http://localhost:6379' }, /redis/],
    ['a logger without error()', { logger: { info() {} } }, /logger/],
  ])('%s is refused at once, saying what was expected', (_, options, message) => {
    let thrown: unknown
    try {
      broadcaster(options as BroadcasterOptions)
    } catch (error) {
      thrown = error
    }
    expect(thrown).toBeInstanceOf(BroadcasterError)
    expect(thrown).toMatchObject({ code: 'invalidOption', message: expect.stringMatching(message) })
  })

  it('may all be left out, or undefined', async () => {
    const none: Record<keyof BroadcasterOptions, undefined> = {
      canConnect: undefined,
      canSubscribe: undefined,
      checkOrigin: undefined,
      redis: undefined,
      pubSub: undefined,
      controlChannel: undefined,
      controlNamespace: undefined,
      timeout: undefined,
      pollTime: undefined,
      recovery: undefined,
      limits: undefined,
      webSocket: undefined,
      logger: undefined,
    }
    const live = broadcaster({ ...(none as object), redis: false })
    await live.ready()
    await live.close()
  })

  it('may lift a limit with Infinity', async () => {
    const live = broadcaster({ redis: false, limits: { channelsPerConnection: Number.POSITIVE_INFINITY } })
    await live.close()
  })
})
