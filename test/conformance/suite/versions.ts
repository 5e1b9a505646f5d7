import { describe, expect, it } from 'vitest'
import { connect, signIn } from '../../support/connect.ts'
import { channelName } from '../../support/names.ts'
import { transports, type Subject } from '../../support/subject.ts'

export function versions(subject: Subject): void {
  describe.each(transports)('Versions, over %s', (transport) => {
    it('V1: sends a client of the base only what the base defines', async () => {
      const channel = channelName()
      const alice = await connect(subject, { transport })
      expect(await alice.auth()).toEqual(
        transport === 'websocket' ? { __type: 'authOk' } : { __type: 'authOk', __token: expect.any(String) },
      )
      expect(await alice.subscribe(channel)).toEqual({ __type: 'subscribeOk', channel })
      await subject.publish(channel, 'hello')
      expect(await alice.next()).toEqual({ __type: 'message', channel, body: 'hello' })
      expect(await alice.unsubscribe(channel)).toEqual({ __type: 'unsubscribeOk', channel })
    })

    it('V1: answers a client with the additions that the server has them too', async () => {
      const alice = await connect(subject, { transport })
      expect(await alice.auth({ __v: 1 })).toMatchObject({ __type: 'authOk', __v: 1 })
    })

    it('V1: gives a client with the additions and one of the base on a channel each its own form, in both orders', async () => {
      const channel = channelName()
      const base = await signIn(subject, { transport })
      const versioned = await signIn(subject, { transport, auth: { __v: 1 } })
      for (const peer of [base, versioned]) await peer.subscribe(channel)
      const message = (body: string) => ({ __type: 'message', channel, body })
      await subject.publish(channel, '1')
      expect(await base.next()).toEqual(message('1'))
      expect(await versioned.next()).toEqual({ ...message('1'), position: expect.any(String) })
      await subject.publish(channel, '2')
      expect(await versioned.next()).toEqual({ ...message('2'), position: expect.any(String) })
      expect(await base.next()).toEqual(message('2'))
    })

    it.each([0, 1, 2, 3, '1', null, true])(
      'V1: answers __v %j with a version that it supports, or with the base',
      async (v) => {
        const alice = await connect(subject, { transport })
        const { __type, __v } = await alice.auth({ __v: v })
        expect(__type).toBe('authOk')
        // A version that both know: not above that of the client, nor above the newest one.
        expect(v === 2 || v === 3 ? [undefined, 1, 2] : [undefined, 1]).toContain(__v)
      },
    )

    it('V2: does not pass reserved keys to the application', async () => {
      const alice = await connect(subject, { transport })
      expect(await alice.auth({ __future: 'x', user: 'alice' })).toMatchObject({ __type: 'authOk' })
    })

    it('V3: ignores unknown fields', async () => {
      const channel = channelName()
      const alice = await signIn(subject, { transport })
      const answer = await alice.subscribe(channel, {
        position: 'a place',
        color: 'red',
        nested: { channel: 'x' },
      })
      expect(answer).toEqual({ __type: 'subscribeOk', channel })
    })

    it('V4: reads JSON in any notation', async () => {
      const channel = channelName()
      const alice = await connect(subject, { transport })
      await alice.send(' {\n"us\\u0065r":"\\ud83d\\ude00", "__typ\\u0065" :\t"\\u0061uth"}\r\n')
      expect(await alice.next()).toMatchObject({ __type: 'authOk' })
      expect(await alice.subscribe(channel)).toMatchObject({ __type: 'subscribeOk' })
    })
  })
}
