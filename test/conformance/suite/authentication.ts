import { describe, expect, it } from 'vitest'
import { connect, signIn } from '../../support/connect.ts'
import { LongPollPeer } from '../../support/longPollPeer.ts'
import { channelName } from '../../support/names.ts'
import type { Peer } from '../../support/peer.ts'
import { transports, type Subject } from '../../support/subject.ts'
import { until } from '../../support/waiting.ts'
import { WebSocketPeer } from '../../support/webSocketPeer.ts'
import { settings } from '../settings.ts'

let clients = 0
const clientName = () => `client-${process.pid}-${clients++}`

export function authentication(subject: Subject): void {
  describe.each(transports)('Messages from the client: auth, over %s', (transport) => {
    it('accepts any data that the application accepts', async () => {
      const alice = await connect(subject, { transport })
      const data = { user: 'alice', n: 1, list: [1, { deep: null }], type: 'x', channel: 'y', seq: 5 }
      expect(await alice.auth(data)).toMatchObject({ __type: 'authOk' })
    })

    it('sends authError to a client that the application refuses', async () => {
      const alice = await connect(subject, { transport })
      expect(await alice.auth({ [settings.refusedKey]: 'x' })).toEqual({
        __type: 'authError',
        reason: 'Unauthorized',
      })
    })

    it('A3: refuses auth data that is too large', async () => {
      const alice = await connect(subject, { transport })
      expect(await alice.auth({ padding: 'x'.repeat(settings.authBytes) })).toEqual({
        __type: 'authError',
        reason: 'Auth too large',
      })
    })

    it('A3: counts bytes of auth data, not characters, and not the reserved keys', async () => {
      // As JSON, the rest is {"padding":""}.
      const room = settings.authBytes - 14
      const refused = await connect(subject, { transport })
      expect(await refused.auth({ padding: '\u20ac'.repeat(room / 3 + 1) })).toMatchObject({
        reason: 'Auth too large',
      })
      const accepted = await connect(subject, { transport })
      expect(await accepted.auth({ padding: 'x'.repeat(room), __other: 'x'.repeat(100) })).toMatchObject({
        __type: 'authOk',
      })
    })

    it.each(transports)('A1: ends the connection that a newer one over %s replaces', async (newer) => {
      const additions = { __v: 1, __client: clientName() }
      const alice = await signIn(subject, { transport, auth: { ...additions, __generation: 1 } })
      const stranger = await signIn(subject, {
        transport,
        auth: { __v: 1, __client: clientName(), __generation: 1 },
      })
      const again = await signIn(subject, { transport: newer, auth: { ...additions, __generation: 2 } })
      await expectEnded(alice, { code: 4409, reason: 'Replaced by a newer connection' })
      for (const living of [again, stranger]) {
        expect(await living.subscribe(channelName())).toMatchObject({ __type: 'subscribeOk' })
      }
    })

    it.each(transports)(
      'A1: an older one over %s that arrives late does not end a newer one',
      async (older) => {
        const additions = { __v: 1, __client: clientName() }
        const alice = await signIn(subject, { transport, auth: { ...additions, __generation: 3 } })
        const late = await connect(subject, { transport: older })
        expect(await late.auth({ ...additions, __generation: 2 })).toMatchObject({ __type: 'authOk' })
        await expectEnded(late, { code: 4409, reason: 'Replaced by a newer connection' })
        expect(await alice.subscribe(channelName())).toMatchObject({ __type: 'subscribeOk' })
      },
    )

    it('A2: ends the session that a new connection replaces', async () => {
      const old = new LongPollPeer(subject)
      await old.auth({ __v: 1 })
      const other = new LongPollPeer(subject)
      await other.auth({ __v: 1 })
      await signIn(subject, { transport, auth: { __v: 1, __previous: old.token } })
      await expectEnded(old)
      expect(await other.subscribe(channelName())).toMatchObject({ __type: 'subscribeOk' })
    })

    it.each([
      1006,
      4999,
      'timeout',
      'silence',
      'error',
      'nonsense',
      5,
      -1,
      null,
      { code: 1006 },
      'x'.repeat(500),
    ])('A9: accepts a client that says why its WebSocket failed: %j', async (fallback) => {
      const alice = await connect(subject, { transport })
      const answer = await alice.auth({ __v: 2, __fallback: fallback })
      expect(answer).toMatchObject({ __type: 'authOk', __v: 2 })
    })

    it('A2: ignores the token of a session that does not exist', async () => {
      const alice = await connect(subject, { transport })
      expect(await alice.auth({ __v: 1, __previous: 'long-gone' })).toMatchObject({ __type: 'authOk' })
    })
  })

  describe('Messages from the client: auth, with credentials that end', () => {
    const short = { [settings.lifeKey]: 300 }

    it('A6: closes a WebSocket when its credentials end, without an additional message', async () => {
      const alice = await WebSocketPeer.connect(subject)
      await alice.auth({ __v: 2, ...short })
      expect(await alice.closed).toEqual({ code: 4411, reason: 'Credentials have expired' })
    })

    it('A6: closes the WebSocket of a client of the base with 4401', async () => {
      const alice = await WebSocketPeer.connect(subject)
      await alice.auth(short)
      expect(await alice.closed).toEqual({ code: 4401, reason: 'Unauthorized' })
    })

    it.each([0, 2])('A6: ends a session, and its waiting poll, in version %i', async (version) => {
      const alice = new LongPollPeer(subject)
      await alice.auth({ ...(version > 0 && { __v: version }), ...short })
      expect(await alice.poll()).toMatchObject({
        status: 401,
        messages: [{ __type: 'authError', reason: 'Auth expected' }],
      })
      for (const request of [{ __type: 'subscribe' }, { __type: 'unsubscribe' }]) {
        expect(await alice.post({ ...request, channel: 'x' })).toMatchObject({ status: 401 })
      }
    })

    it.each(transports)('A6: refuses credentials that have already ended, over %s', async (transport) => {
      const alice = await connect(subject, { transport })
      const refusal = { __type: 'authError', reason: 'Credentials have expired' }
      expect(await alice.auth({ [settings.lifeKey]: -60_000 })).toEqual(refusal)
      if (alice instanceof WebSocketPeer) {
        expect(await alice.closed).toEqual({ code: 4401, reason: 'Credentials have expired' })
      }
    })
  })

  describe('Messages from the client: auth', () => {
    it('closes a refused WebSocket with 4401 and the same reason', async () => {
      const alice = await WebSocketPeer.connect(subject)
      await alice.auth({ [settings.refusedKey]: 'x' })
      expect(await alice.closed).toEqual({ code: 4401, reason: 'Unauthorized' })
      const bob = await WebSocketPeer.connect(subject)
      await bob.auth({ padding: 'x'.repeat(settings.authBytes) })
      expect(await bob.closed).toEqual({ code: 4401, reason: 'Auth too large' })
    })

    it('answers refused auth on long-poll with 401', async () => {
      const { status } = await new LongPollPeer(subject).post({
        __type: 'auth',
        padding: 'x'.repeat(settings.authBytes),
      })
      expect(status).toBe(401)
    })
  })
}

/** Checks that a WebSocket is closed, or that a session is gone. Another node may notice the latter a moment later. */
async function expectEnded(peer: Peer, closed?: object): Promise<void> {
  if (peer instanceof WebSocketPeer) return expect(await peer.closed).toEqual(closed)
  const session = peer as LongPollPeer
  const { messages } = (await until('the session to be ended', async () => {
    const answer = await session.post({ __type: 'unsubscribe', channel: 'x' })
    return answer.status === 401 && answer
  })) as { messages: unknown[] }
  expect(messages).toEqual([{ __type: 'authError', reason: 'Auth expected' }])
}
