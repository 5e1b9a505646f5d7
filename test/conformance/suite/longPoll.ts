import { describe, expect, it } from 'vitest'
import { LongPollPeer, post } from '../../support/longPollPeer.ts'
import { channelName } from '../../support/names.ts'
import type { Subject } from '../../support/subject.ts'
import { tidy } from '../../support/tidy.ts'
import { sleep } from '../../support/waiting.ts'
import { settings } from '../settings.ts'
import { otherSettings, ownSockets, type Kind } from '../subjects.ts'

const authExpected = [{ __type: 'authError', reason: 'Auth expected' }]
const own = (subject: Subject) => new URL(subject.url).origin
const foreign = 'https://elsewhere.example'

export function longPoll(subject: Subject, kind: Kind): void {
  const signIn = async (at: Subject = subject) => {
    const peer = new LongPollPeer(at)
    await peer.auth()
    return peer
  }

  describe('Transports: long-poll', () => {
    it('L1: creates a session for each auth, with its own token', async () => {
      const first = await post(subject.url, { __type: 'auth', user: 'alice' })
      const second = await post(subject.url, { __type: 'auth', user: 'alice' })
      for (const { status, messages, headers } of [first, second]) {
        expect(status).toBe(200)
        expect(messages).toEqual([{ __type: 'authOk', __token: expect.stringMatching(/.{16}/) }])
        expect(headers.get('content-type')).toMatch(/^application\/json\b/)
      }
      expect(first.messages[0]!['__token']).not.toBe(second.messages[0]!['__token'])
    })

    it.each(['application/json', 'text/plain', 'application/x-www-form-urlencoded', 'x/y; charset=utf-16'])(
      'L1: ignores the content type %s',
      async (type) => {
        const { status, messages } = await post(
          subject.url,
          { __type: 'auth' },
          { headers: { 'Content-Type': type } },
        )
        expect(status).toBe(200)
        expect(messages).toMatchObject([{ __type: 'authOk' }])
      },
    )

    it.each([
      '{"__type":"subscribe","channel":"a"}',
      '{"__type":"unsubscribe","channel":"a"}',
      '{"__type":"poll","seq":"0"}',
      '{"__type":"ping"}',
      '{"__type":"bogus"}',
      '{}',
      '{"__type":"poll","seq":"0","__token":"there-is-no-such-session"}',
      '{"__type":"subscribe","channel":"a","__token":"there-is-no-such-session"}',
      '{"__type":"subscribe","channel":"a","__token":""}',
      '{"__type":"subscribe","channel":"a","__token":5}',
      '{"__type":"subscribe","channel":"a","__token":{"x":1}}',
    ])('L2: answers %s without an existing session with 401', async (body) => {
      const { status, messages, headers } = await post(subject.url, body)
      expect(status).toBe(401)
      expect(messages).toEqual(authExpected)
      expect(headers.get('content-type')).toMatch(/^application\/json\b/)
    })

    it.each([
      'not json',
      '',
      '{"__type":"auth"',
      '[]',
      '[{"__type":"auth"}]',
      '"auth"',
      'null',
      '5',
      '__type=auth',
    ])('L2: answers the body %j with 401', async (body) => {
      const { status, messages } = await post(subject.url, body)
      expect(status).toBe(401)
      expect(messages).toEqual(authExpected)
    })

    it('L2: answers a body that is not an object with 401 also for an existing session, which continues', async () => {
      const channel = channelName()
      const alice = await signIn()
      await alice.subscribe(channel)
      const { status } = await post(subject.url, `[{"__type":"poll","seq":"0","__token":"${alice.token}"}]`)
      expect(status).toBe(401)
      await subject.publish(channel, 'still here')
      expect(await alice.next()).toMatchObject({ body: 'still here' })
    })

    it('L2: answers refused auth with 401', async () => {
      const { status, messages } = await post(subject.url, { __type: 'auth', [settings.refusedKey]: 1 })
      expect(status).toBe(401)
      expect(messages).toEqual([{ __type: 'authError', reason: 'Unauthorized' }])
    })

    it.each([
      { __type: 'auth' },
      { __type: 'auth', [settings.refusedKey]: 1 },
      { __type: 'ping' },
      { __type: 'bogus' },
      { __type: 5 },
      { __type: 'message', channel: 'a', body: 'b' },
      {},
    ])('L3: answers %j on a living session with unknown', async (message) => {
      const alice = await signIn()
      const { status, messages } = await alice.post(message)
      expect(status).toBe(200)
      expect(messages).toEqual([{ __type: 'unknown' }])
      expect(await alice.subscribe(channelName())).toMatchObject({ __type: 'subscribeOk' })
    })

    it('L9: ends a session that makes no requests', otherSettings(kind), async () => {
      const short = tidy(await kind.startWith!({ timeout: 500 }))
      const alice = await signIn(short)
      // A session expires after 1.5 seconds. The rule is about time, so the test has to wait.
      await sleep(3000)
      const { status, messages } = await alice.post({ __type: 'subscribe', channel: 'a' })
      expect(status).toBe(401)
      expect(messages).toEqual(authExpected)
    })

    it('L9: keeps a session that polls, with all its channels', otherSettings(kind), async () => {
      const short = tidy(await kind.startWith!({ timeout: 1000 }))
      const channel = channelName()
      const alice = await signIn(short)
      await alice.subscribe(channel)
      for (let poll = 0; poll < 4; poll++) expect((await alice.poll()).messages).toEqual([])
      await short.publish(channel, 'still here')
      expect(await alice.next()).toMatchObject({ channel, body: 'still here' })
    })

    it.each(['PUT', 'DELETE', 'PATCH'])('L10: refuses the method %s', ownSockets(kind), async (method) => {
      const { status } = await post(subject.url, { __type: 'auth' }, { method })
      expect(status).toBe(405)
    })

    it('L10: answers GET without an upgrade with 400', ownSockets(kind), async () => {
      expect((await fetch(subject.url)).status).toBe(400)
    })

    it('L10: refuses a body that is too large with 413', ownSockets(kind), async () => {
      const { status } = await post(subject.url, {
        __type: 'auth',
        padding: 'x'.repeat(settings.messageBytes),
      })
      expect(status).toBe(413)
    })

    it(
      'L10: answers a foreign origin with 403 and does not execute its request',
      ownSockets(kind),
      async () => {
        const channel = channelName()
        const alice = await signIn()
        const headers = { Origin: foreign }
        expect((await post(subject.url, { __type: 'auth' }, { headers })).status).toBe(403)
        expect((await alice.post({ __type: 'subscribe', channel }, { headers })).status).toBe(403)
        await subject.publish(channel, 'not for alice')
        await alice.hearsNothing()
      },
    )

    it('L11: answers the preflight of its own origin', ownSockets(kind), async () => {
      const headers = {
        Origin: own(subject),
        'Access-Control-Request-Method': 'POST',
        'Access-Control-Request-Headers': 'content-type',
      }
      const answer = await fetch(subject.url, { method: 'OPTIONS', headers })
      expect(answer.ok).toBe(true)
      expect(answer.headers.get('access-control-allow-origin')).toBe(own(subject))
      expect(answer.headers.get('access-control-allow-methods')).toMatch(/\bPOST\b/)
      expect(answer.headers.get('access-control-allow-headers')).toMatch(/content-type/i)
      expect(answer.headers.get('vary')).toMatch(/\borigin\b/i)
    })

    it('L11: lets its own origin read the answer, also a refusal', ownSockets(kind), async () => {
      const headers = { Origin: own(subject) }
      for (const message of [{ __type: 'auth' }, { __type: 'poll' }]) {
        const answer = await post(subject.url, message, { headers })
        expect(answer.headers.get('access-control-allow-origin')).toBe(own(subject))
        expect(answer.headers.get('vary')).toMatch(/\borigin\b/i)
      }
    })

    it('L11: does not let a foreign origin read an answer or preflight', ownSockets(kind), async () => {
      const headers = { Origin: foreign, 'Access-Control-Request-Method': 'POST' }
      const preflight = await fetch(subject.url, { method: 'OPTIONS', headers })
      expect(preflight.headers.get('access-control-allow-origin')).toBeNull()
      const answer = await post(subject.url, { __type: 'auth' }, { headers: { Origin: foreign } })
      expect(answer.headers.get('access-control-allow-origin')).toBeNull()
    })
  })
}
