import { describe, expect, it } from 'vitest'
import { channelName } from '../../support/names.ts'
import type { Subject } from '../../support/subject.ts'
import { tidy } from '../../support/tidy.ts'
import { refusedHandshake, WebSocketPeer } from '../../support/webSocketPeer.ts'
import { settings } from '../settings.ts'
import { otherSettings, ownSockets, type Kind } from '../subjects.ts'

/** JSON objects and `null` that are not requests of a client. */
const unknownRequests = [
  '{}',
  'null',
  '{"__type":"bogus"}',
  '{"__type":5}',
  '{"__type":null}',
  '{"__type":["subscribe"],"channel":"a"}',
  '{"__type":"authOk"}',
  '{"__type":"message","channel":"a","body":"b"}',
  '{"type":"subscribe","channel":"a"}',
]

/** Frames that are not JSON, or not an object. */
const badFrames = [
  'not json',
  '',
  '   ',
  '{"__type":"subscribe"',
  "{'__type':'auth'}",
  '{"__type":"auth"} trailing',
  '[{"__type":"auth"}]',
  '[]',
  '"auth"',
  '42',
  'true',
]

/** More than the reason of the table of close codes, which says nothing of the frame. */
const why = expect.stringMatching(/^(?!Bad message$)./)

export function webSocket(subject: Subject, kind: Kind): void {
  const connect = () => WebSocketPeer.connect(subject)
  const signIn = async () => {
    const peer = await connect()
    await peer.auth()
    return peer
  }

  describe('Transports: WebSocket', () => {
    it('W1: reads binary frames as text', async () => {
      const alice = await connect()
      await alice.send(Buffer.from('{"__type":"auth","user":"ali\u{1F600}"}'))
      expect(await alice.next()).toEqual({ __type: 'authOk' })
      const channel = 'a \u00e9 \u20ac \u{1F600}'
      await alice.send(Buffer.from(JSON.stringify({ __type: 'unsubscribe', channel })))
      expect(await alice.next()).toEqual({ __type: 'unsubscribeOk', channel })
    })

    it.each([
      ...unknownRequests,
      '{"__type":"subscribe","channel":"a"}',
      '{"__type":"ping"}',
      '{"__type":"poll"}',
    ])('W2: expects auth first, not %s', async (frame) => {
      const alice = await connect()
      await alice.send(frame)
      expect(await alice.next()).toEqual({ __type: 'authError', reason: 'Auth expected' })
      expect(await alice.closed).toEqual({ code: 4401, reason: 'Auth expected' })
    })

    it.each(badFrames)('W3: closes with 4400 when the first frame is %j', async (frame) => {
      const alice = await connect()
      await alice.send(frame)
      expect(await alice.closed).toEqual({ code: 4400, reason: why })
      await expect(alice.next(), 'no frame comes before the close').rejects.toThrow('4400')
    })

    it.each(badFrames)('W3: closes with 4400 when a later frame is %j', async (frame) => {
      const alice = await signIn()
      await alice.subscribe(channelName())
      await alice.send(frame)
      expect(await alice.closed).toEqual({ code: 4400, reason: why })
    })

    it('W3: cuts the reason so that it fits into a close frame', async () => {
      const alice = await connect()
      // Node quotes the characters around the error, and each of them has three bytes.
      await alice.send(`{"${'\u8A9E'.repeat(20)}":${'\u8A9E'.repeat(1000)}`)
      const { code, reason } = await alice.closed
      expect(code).toBe(4400)
      expect(Buffer.byteLength(reason)).toBeLessThanOrEqual(123)
    })

    it.each([...unknownRequests, '{"__type":"auth"}', '{"__type":"poll","seq":"0"}'])(
      'W4: answers %s with unknown, and the connection stays open',
      async (frame) => {
        const channel = channelName()
        const alice = await signIn()
        await alice.subscribe(channel)
        await alice.send(frame)
        expect(await alice.next()).toEqual({ __type: 'unknown' })
        await subject.publish(channel, 'still here')
        expect(await alice.next()).toEqual({ __type: 'message', channel, body: 'still here' })
      },
    )

    it('W5: does not use fields of the frame before', async () => {
      const [first, second] = [channelName(), channelName()]
      const alice = await signIn()
      await alice.subscribe(first)
      await alice.send({})
      expect(await alice.next()).toEqual({ __type: 'unknown' })
      await alice.send({ channel: second })
      expect(await alice.next()).toEqual({ __type: 'unknown' })
      await alice.send({ __type: 'unsubscribe' })
      expect(await alice.next()).toMatchObject({ __type: 'unsubscribeError' })
      await subject.publish(second, 'not for alice')
      await subject.publish(first, 'for alice')
      expect(await alice.next()).toMatchObject({ channel: first, body: 'for alice' })
    })

    it('W6: makes subscribe and unsubscribe wait for auth', async () => {
      const [first, second] = [channelName(), channelName()]
      const alice = await connect()
      await Promise.all([
        alice.send({ __type: 'auth' }),
        alice.send({ __type: 'subscribe', channel: first }),
        alice.send({ __type: 'subscribe', channel: second }),
        alice.send({ __type: 'unsubscribe', channel: first }),
      ])
      expect(await alice.next()).toEqual({ __type: 'authOk' })
      expect(await alice.take(3)).toEqual(
        expect.arrayContaining([
          { __type: 'subscribeOk', channel: first },
          { __type: 'subscribeOk', channel: second },
          { __type: 'unsubscribeOk', channel: first },
        ]),
      )
      await subject.publish(first, 'not for alice')
      await subject.publish(second, 'for alice')
      expect(await alice.next()).toMatchObject({ channel: second, body: 'for alice' })
    })

    it('W6: executes no request of a client whose auth is refused', async () => {
      const alice = await connect()
      await Promise.all([
        alice.send({ __type: 'auth', [settings.refusedKey]: 1 }),
        alice.send({ __type: 'subscribe', channel: channelName() }),
      ])
      expect(await alice.next()).toEqual({ __type: 'authError', reason: 'Unauthorized' })
      expect(await alice.closed).toEqual({ code: 4401, reason: 'Unauthorized' })
      await expect(alice.next(), 'nothing else comes').rejects.toThrow('4401')
    })

    it('W7: answers requests about one channel in order', async () => {
      const channel = channelName()
      const alice = await signIn()
      const requests = ['subscribe', 'unsubscribe', 'subscribe', 'subscribe', 'unsubscribe', 'subscribe']
      for (const __type of requests) await alice.send({ __type, channel })
      const answers = await alice.take(requests.length)
      expect(answers.map(({ __type }) => __type)).toEqual(requests.map((request) => `${request}Ok`))
      await subject.publish(channel, 'once')
      expect(await alice.next()).toMatchObject({ body: 'once' })
      await alice.hearsNothing()
    })

    it('W8: closes with 4408 when auth does not arrive in time', otherSettings(kind), async () => {
      const impatient = tidy(await kind.startWith!({ limits: { authTimeout: 200 } }))
      const alice = await WebSocketPeer.connect(impatient)
      expect(await alice.closed).toEqual({ code: 4408, reason: 'Auth timeout' })
    })

    it('W8: closes with 1009 when a frame is too large', ownSockets(kind), async () => {
      const alice = await signIn()
      await alice.send({ __type: 'subscribe', channel: 'a', padding: 'x'.repeat(settings.messageBytes) })
      expect((await alice.closed).code).toBe(1009)
    })

    it('W9: answers WebSocket pings', ownSockets(kind), async () => {
      const alice = await signIn()
      const pong = new Promise<string>((resolve) =>
        alice.socket.once('pong', (data) => resolve(String(data))),
      )
      alice.socket.ping('are you there')
      expect(await pong).toBe('are you there')
    })

    it('W10: answers the upgrade of a foreign origin with 403', ownSockets(kind), async () => {
      const refusal = await refusedHandshake(subject, { origin: 'https://elsewhere.example' })
      expect(refusal.status).toBe(403)
    })

    it('W10: accepts its own origin', ownSockets(kind), async () => {
      const alice = await WebSocketPeer.connect(subject, { origin: new URL(subject.url).origin })
      expect(await alice.auth()).toEqual({ __type: 'authOk' })
    })
  })
}
