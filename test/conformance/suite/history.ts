import { describe, expect, it } from 'vitest'
import { publishAndArrive } from '../../support/barriers.ts'
import { signIn } from '../../support/connect.ts'
import { channelName } from '../../support/names.ts'
import type { Peer } from '../../support/peer.ts'
import { transports, type Subject } from '../../support/subject.ts'
import { tidy } from '../../support/tidy.ts'
import type { Wire } from '../../support/inbox.ts'
import { otherSettings, type Kind } from '../subjects.ts'
import { replayOf } from './positions.ts'

/** Messages from before the subscription. */
export function history(subject: Subject, kind: Kind): void {
  describe.each(transports)('Messages from the client: subscribe with history, over %s', (transport) => {
    const come = (from = subject): Promise<Peer> => signIn(from, { transport, auth: { __v: 2 } })
    const published = ['1', '2', '3', '4']

    it.each([
      [2, ['3', '4']],
      [4, published],
      [100, published],
      [0, []],
    ])('H1: gives the newest %i messages, then each later one once', async (asked, expected) => {
      const channel = channelName()
      await publishAndArrive(subject, channel, published)
      const alice = await come()
      const answer = await alice.subscribe(channel, { history: asked })
      expect(answer).toEqual({
        __type: 'subscribeOk',
        channel,
        position: expect.any(String),
        history: expected.map((body) => [body, expect.any(String)]),
      })
      await subject.publish(channel, '5')
      expect(await alice.next()).toMatchObject({ body: '5' })
      await alice.hearsNothing()
    })

    it('H1: gives each message the position that it has for all clients', async () => {
      const channel = channelName()
      const bob = await come()
      await bob.subscribe(channel)
      for (const body of published) await subject.publish(channel, body)
      const heard = await bob.take(4)
      const alice = await come()
      const answer = await alice.subscribe(channel, { history: 4 })
      expect(answer['history']).toEqual(heard.map(({ body, position }) => [body, position]))
      await alice.close()
      const [, position] = (answer['history'] as [string, string][])[1]!
      const again = await come()
      expect(replayOf(await again.subscribe(channel, { position }))).toEqual(['3', '4'])
    })

    it('H1: with a position, gives the messages up to it, and then those after it', async () => {
      const channel = channelName()
      const alice = await come()
      await alice.subscribe(channel)
      await subject.publish(channel, '1')
      await subject.publish(channel, '2')
      const [, { position }] = (await alice.take(2)) as [Wire, Wire]
      await alice.close()
      await publishAndArrive(subject, channel, ['3', '4'])
      const again = await come()
      const answer = await again.subscribe(channel, { position, history: 1 })
      expect(answer).toMatchObject({ recovered: true })
      expect([historyOf(answer), replayOf(answer)]).toEqual([['2'], ['3', '4']])
      await again.hearsNothing()
    })

    it('H1: gives the newest messages if there is a gap', async () => {
      const channel = channelName()
      await publishAndArrive(subject, channel, published)
      const alice = await come()
      const answer = await alice.subscribe(channel, { position: 'none', history: 3 })
      expect(answer).toMatchObject({ recovered: false })
      expect([historyOf(answer), replayOf(answer)]).toEqual([['2', '3', '4'], []])
      await alice.hearsNothing()
    })

    it.each(['2', -1, 1.5, null, true, [2]])(
      'H1: ignores %j, which is not a number of messages',
      async (asked) => {
        const channel = channelName()
        await publishAndArrive(subject, channel, published)
        const alice = await come()
        expect(await alice.subscribe(channel, { history: asked })).not.toHaveProperty('history')
      },
    )

    it('H1, V1: gives nothing to a client of the base', async () => {
      const channel = channelName()
      await publishAndArrive(subject, channel, published)
      const alice = await signIn(subject, { transport })
      expect(await alice.subscribe(channel, { history: 2 })).toEqual({ __type: 'subscribeOk', channel })
      await alice.hearsNothing()
    })

    it('H2: has none if no node has had the channel', otherSettings(kind), async () => {
      const fresh = tidy(await kind.startWith!({}))
      const channel = channelName()
      await fresh.publish(channel, 'nobody hears this')
      const alice = await come(fresh)
      expect(historyOf(await alice.subscribe(channel, { history: 10 }))).toEqual([])
    })

    it('H3: gives the history of a channel that the client has, and changes nothing else', async () => {
      const channel = channelName()
      const alice = await come()
      await alice.subscribe(channel)
      for (const body of ['1', '2', '3']) await subject.publish(channel, body)
      const [, , { position }] = (await alice.take(3)) as [Wire, Wire, Wire]
      const answer = await alice.subscribe(channel, { position, history: 2 })
      expect(answer).toMatchObject({ __type: 'subscribeOk', channel, position: expect.any(String) })
      expect(historyOf(answer)).toEqual(['2', '3'])
      await subject.publish(channel, '4')
      expect(await alice.next()).toMatchObject({ body: '4' })
      await alice.hearsNothing()
    })

    it('H2: has no more messages than the limits allow', otherSettings(kind), async () => {
      const few = tidy(
        await kind.startWith!({ limits: { historyMessages: 2, answerBytes: 700, bufferedBytes: 700 } }),
      )
      const [small, large] = [channelName(), channelName()]
      await publishAndArrive(few, small, published)
      await publishAndArrive(few, large, ['a', 'b'.repeat(400), 'c'.repeat(400)])
      const alice = await come(few)
      expect(historyOf(await alice.subscribe(small, { history: 100 }))).toEqual(['3', '4'])
      expect(historyOf(await alice.subscribe(large, { history: 100 }))).toEqual(['c'.repeat(400)])
    })
  })
}

function historyOf(answer: Wire): string[] {
  return (answer['history'] as [string, string][]).map(([body]) => body)
}
