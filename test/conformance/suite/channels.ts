import { describe, expect, it } from 'vitest'
import { waitingPoll } from '../../support/barriers.ts'
import { signIn as signInTo } from '../../support/connect.ts'
import { LongPollPeer } from '../../support/longPollPeer.ts'
import { channelName } from '../../support/names.ts'
import { transports, type Subject } from '../../support/subject.ts'
import { WebSocketPeer } from '../../support/webSocketPeer.ts'
import { settings } from '../settings.ts'

/** Names that could cause an error between client and Redis. */
const oddNames = [
  ' ',
  'two words',
  ' leading and trailing ',
  'line\nfeed',
  'nul\0byte',
  'quote"back\\slash',
  '*',
  'news.*',
  '[ab]?',
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  '{hash}tag',
  'a:b:c',
  'sess:bc:x',
  '<script>&amp;</script>',
  '\u2028\u2029',
  'caf\u00e9',
  'cafe\u0301',
  '\u{1F600}',
  '0',
]

export function channels(subject: Subject): void {
  describe.each(transports)('Messages from the client: subscribe and unsubscribe, over %s', (transport) => {
    const signIn = () => signInTo(subject, { transport })

    it('S1: answers with the channel', async () => {
      const channel = channelName()
      expect(await (await signIn()).subscribe(channel)).toEqual({ __type: 'subscribeOk', channel })
      const versioned = await signInTo(subject, { transport, auth: { __v: 1 } })
      expect(await versioned.subscribe(channel)).toMatchObject({ __type: 'subscribeOk', channel })
    })

    it('S2: delivers a message that is published as soon as subscribeOk arrives', async () => {
      const alice = await signIn()
      for (let round = 0; round < 15; round++) {
        const channel = channelName()
        await alice.subscribe(channel)
        await subject.publish(channel, 'just in time')
        expect(await alice.next()).toEqual({ __type: 'message', channel, body: 'just in time' })
        await alice.unsubscribe(channel)
      }
    })

    it('S3: subscribes once, also for repeated requests', async () => {
      const channel = channelName()
      const alice = await signIn()
      for (let i = 0; i < 3; i++) {
        expect(await alice.subscribe(channel)).toEqual({ __type: 'subscribeOk', channel })
      }
      await subject.publish(channel, 'once')
      expect(await alice.next()).toEqual({ __type: 'message', channel, body: 'once' })
      await alice.hearsNothing()
      await alice.unsubscribe(channel)
      await subject.publish(channel, 'never')
      await alice.hearsNothing()
    })

    it('S3: keeps undelivered messages when subscribe is repeated', async () => {
      const channel = channelName()
      const alice = await signIn()
      await alice.subscribe(channel)
      await subject.publish(channel, '1')
      await alice.subscribe(channel)
      await subject.publish(channel, '2')
      expect(await alice.bodies(channel, 2)).toEqual(['1', '2'])
    })

    it.each([
      {},
      { channel: null },
      { channel: 5 },
      { channel: ['a'] },
      { channel: { a: 1 } },
      { channel: true },
    ])('S4: expects a channel, not %j', async (fields) => {
      const alice = await signIn()
      await alice.send({ __type: 'subscribe', ...fields })
      expect(await alice.next()).toEqual({
        __type: 'subscribeError',
        channel: '',
        reason: 'Channel expected',
      })
      await subject.publish('', 'not for alice')
      await alice.hearsNothing()
    })

    it('S4: refuses a name that is too long in bytes', async () => {
      const alice = await signIn()
      const longest = channelName().padEnd(settings.channelBytes, 'x')
      expect(await alice.subscribe(longest)).toEqual({ __type: 'subscribeOk', channel: longest })
      for (const channel of [`${longest}x`, '\u00e9'.repeat(settings.channelBytes / 2 + 1)]) {
        const reason = 'Channel name too long'
        expect(await alice.subscribe(channel)).toEqual({ __type: 'subscribeError', channel, reason })
      }
    })

    it('S4: refuses a name that UTF-8 can not encode', async () => {
      const alice = await signIn()
      const name = channelName()
      for (const half of ['\ud83d', '\ude00']) {
        const channel = name + half
        const reason = 'Channel name malformed'
        expect(await alice.subscribe(channel)).toEqual({ __type: 'subscribeError', channel, reason })
        expect(await alice.unsubscribe(channel)).toEqual({ __type: 'unsubscribeOk', channel })
      }
      await subject.publish(`${name}\ufffd`, 'not for alice')
      await alice.hearsNothing()
    })

    it('S4: refuses a channel over the limit, until another one is unsubscribed', async () => {
      const alice = await signIn()
      const some = Array.from({ length: settings.channelsPerConnection }, () => channelName())
      for (const channel of some)
        expect(await alice.subscribe(channel)).toMatchObject({ __type: 'subscribeOk' })
      const channel = channelName()
      const reason = 'Too many channels'
      expect(await alice.subscribe(channel)).toEqual({ __type: 'subscribeError', channel, reason })
      expect(await alice.subscribe(some[0]!), 'a repeated subscribe does not count again').toMatchObject({
        __type: 'subscribeOk',
      })
      await alice.unsubscribe(some[0]!)
      expect(await alice.subscribe(channel)).toMatchObject({ __type: 'subscribeOk' })
    })

    it.each([settings.refusedChannel, settings.controlChannel])(
      'S5: refuses the channel %s',
      async (channel) => {
        const alice = await signIn()
        const reason = 'Channel refused'
        expect(await alice.subscribe(channel)).toEqual({ __type: 'subscribeError', channel, reason })
        // If the server itself publishes, it may refuse this too. No other error may happen.
        await subject.publish(channel, 'not for alice').catch((error: { code?: unknown }) => {
          if (error.code !== 'invalidOption') throw error
        })
        await alice.hearsNothing()
      },
    )

    it('S5: does not unsubscribe from the control channel when a client unsubscribes it', async () => {
      const channel = channelName()
      const alice = await signIn()
      const polling = new LongPollPeer(subject)
      await polling.auth()
      await alice.unsubscribe(settings.controlChannel)
      const poll = await waitingPoll(polling)
      await polling.subscribe(channel)
      await subject.publish(channel, 'coordinated')
      expect((await poll.answer).messages).toMatchObject([{ body: 'coordinated' }])
    })

    it('S6: does not cut a channel at a space', async () => {
      const alice = await signIn()
      const word = channelName()
      for (const name of [settings.refusedChannel, word]) {
        const channel = `${name} x`
        expect(await alice.subscribe(channel)).toEqual({ __type: 'subscribeOk', channel })
        await subject.publish(name, 'not for alice')
        await alice.hearsNothing()
        await subject.publish(channel, 'for alice')
        expect(await alice.next()).toEqual({ __type: 'message', channel, body: 'for alice' })
      }
    })

    it.each(oddNames)('accepts the name %j like any other', async (channel) => {
      const alice = await signIn()
      expect(await alice.subscribe(channel)).toEqual({ __type: 'subscribeOk', channel })
      // The bodies are unique, because the name of the channel can't be unique here.
      const body = channelName('body')
      await subject.publish(channel, body)
      expect(await alice.next()).toEqual({ __type: 'message', channel, body })
      expect(await alice.unsubscribe(channel)).toEqual({ __type: 'unsubscribeOk', channel })
      await subject.publish(channel, 'not for alice')
      await alice.hearsNothing()
    })

    it('accepts the empty name', async () => {
      const alice = await signIn()
      expect(await alice.subscribe('')).toEqual({ __type: 'subscribeOk', channel: '' })
      await subject.publish('', 'hello')
      expect(await alice.next()).toEqual({ __type: 'message', channel: '', body: 'hello' })
      expect(await alice.unsubscribe('')).toEqual({ __type: 'unsubscribeOk', channel: '' })
    })

    it('has no patterns', async () => {
      const alice = await signIn()
      const channel = channelName()
      for (const pattern of ['*', `${channel}*`, `${channel.slice(0, -1)}?`]) await alice.subscribe(pattern)
      await subject.publish(channel, 'not for alice')
      await alice.hearsNothing()
    })

    it('U1: answers unsubscribe, whether there was a subscription or not', async () => {
      const channel = channelName()
      const alice = await signIn()
      expect(await alice.unsubscribe(channel)).toEqual({ __type: 'unsubscribeOk', channel })
      await alice.subscribe(channel)
      expect(await alice.unsubscribe(channel)).toEqual({ __type: 'unsubscribeOk', channel })
      expect(await alice.unsubscribe(channel)).toEqual({ __type: 'unsubscribeOk', channel })
    })

    it.each([{}, { channel: null }, { channel: 5 }])(
      'U1: refuses unsubscribe with %j, without a channel',
      async (fields) => {
        const alice = await signIn()
        await alice.send({ __type: 'unsubscribe', ...fields })
        expect(await alice.next()).toEqual({
          __type: 'unsubscribeError',
          channel: '',
          reason: 'Channel expected',
        })
      },
    )

    it('U2: sends no message of a channel after it is unsubscribed, and all messages after it is subscribed again', async () => {
      const channel = channelName()
      const alice = await signIn()
      await alice.subscribe(channel)
      await alice.unsubscribe(channel)
      await subject.publish(channel, 'not for alice')
      await alice.hearsNothing()
      await alice.subscribe(channel)
      await subject.publish(channel, 'for alice')
      expect(await alice.next()).toEqual({ __type: 'message', channel, body: 'for alice' })
    })
  })

  describe('Messages from the client: unsubscribe', () => {
    it('U2: sends no message of a channel after its unsubscribeOk, in the middle of a burst', async () => {
      const channel = channelName()
      const alice = await WebSocketPeer.connect(subject)
      await alice.auth()
      await alice.subscribe(channel)
      const burst = Array.from({ length: 300 }, (_, i) => subject.publish(channel, String(i)))
      await alice.next()
      await alice.send({ __type: 'unsubscribe', channel })
      await Promise.all(burst)
      let heard = await alice.next()
      while (heard.__type === 'message') heard = await alice.next()
      expect(heard).toEqual({ __type: 'unsubscribeOk', channel })
      await alice.hearsNothing()
    })
  })

  describe('Messages from the client: ping', () => {
    it('P1: is answered with pong if the client has the additions', async () => {
      const alice = await WebSocketPeer.connect(subject)
      await alice.auth({ __v: 1 })
      await alice.send({ __type: 'ping' })
      expect(await alice.next()).toEqual({ __type: 'pong' })
    })

    it('P1: is not answered in the base', async () => {
      const alice = await WebSocketPeer.connect(subject)
      await alice.auth()
      await alice.send({ __type: 'ping' })
      await alice.send({ __type: 'bogus' })
      expect(await alice.next()).toEqual({ __type: 'unknown' })
    })
  })
}
