import { describe, expect, it } from 'vitest'
import { publishAndArrive } from '../../support/barriers.ts'
import { signIn } from '../../support/connect.ts'
import type { Wire } from '../../support/inbox.ts'
import { channelName } from '../../support/names.ts'
import type { Peer } from '../../support/peer.ts'
import { transports, type Subject } from '../../support/subject.ts'
import { sleep } from '../../support/waiting.ts'
import { settings } from '../settings.ts'

/** Recovery from a position, for every subject and transport. */
export function positions(subject: Subject): void {
  describe.each(transports)('Positions and recovery, over %s', (transport) => {
    const come = (auth: object = {}): Promise<Peer> =>
      signIn(subject, { transport, auth: { __v: 1, ...auth } })

    it('R1: gives every message and every subscription a position', async () => {
      const channel = channelName()
      const alice = await come()
      const answer = await alice.subscribe(channel)
      expect(answer).toEqual({ __type: 'subscribeOk', channel, position: expect.any(String) })
      await subject.publish(channel, '1')
      await subject.publish(channel, '2')
      const messages = await alice.take(2)
      const all = [answer, ...messages].map(({ position }) => position as string)
      expect(new Set(all).size, 'each message has its own position').toBe(3)
      for (const position of all) expect(position.length).toBeLessThanOrEqual(64)
    })

    it.each(transports)('R2, R3: continues over %s after the last position', async (next) => {
      const channel = channelName()
      const alice = await come()
      await alice.subscribe(channel)
      await subject.publish(channel, '1')
      const { position } = await alice.next()
      await alice.close()
      await publishAndArrive(subject, channel, ['2', '3', '4'])

      const again = await signIn(subject, { transport: next, auth: { __v: 1 } })
      const answer = await again.subscribe(channel, { position })
      expect(answer).toEqual({
        __type: 'subscribeOk',
        channel,
        position: expect.any(String),
        recovered: true,
        messages: ['2', '3', '4'].map((body) => [body, expect.any(String)]),
      })
      await subject.publish(channel, '5')
      expect(await again.next()).toMatchObject({ __type: 'message', body: '5' })
      await again.hearsNothing()
    })

    it('R3: continues from the position of the subscription if no message has arrived', async () => {
      const channel = channelName()
      const alice = await come()
      const { position } = await alice.subscribe(channel)
      await alice.close()
      await publishAndArrive(subject, channel, ['1'])
      const again = await come()
      const answer = await again.subscribe(channel, { position })
      expect(answer).toMatchObject({ recovered: true, messages: [['1', expect.any(String)]] })
    })

    it('R3: replays no message twice, also when the client reconnects repeatedly', async () => {
      const channel = channelName()
      let alice = await come()
      let { position } = await alice.subscribe(channel)
      const heard: string[] = []
      for (let round = 0; round < 5; round++) {
        await alice.close()
        await publishAndArrive(subject, channel, [`${round} while away`])
        alice = await come()
        const answer = await alice.subscribe(channel, { position })
        expect(answer['recovered']).toBe(true)
        heard.push(...replayOf(answer))
        await subject.publish(channel, `${round} live`)
        const message = await alice.next()
        heard.push(message['body'] as string)
        position = message['position']
      }
      expect(heard).toEqual([0, 1, 2, 3, 4].flatMap((round) => [`${round} while away`, `${round} live`]))
    })

    it('R3: answers that the channel is recovered if no message was missed', async () => {
      const channel = channelName()
      const alice = await come()
      await alice.subscribe(channel)
      await subject.publish(channel, '1')
      const { position } = await alice.next()
      await alice.close()
      const again = await come()
      const answer = await again.subscribe(channel, { position })
      expect(answer).toMatchObject({ __type: 'subscribeOk', recovered: true })
      expect(replayOf(answer)).toEqual([])
      await again.hearsNothing()
    })

    it('R2: asks the application again before it replays a message', async () => {
      const alice = await come()
      const { position } = await alice.subscribe(channelName())
      const channel = settings.refusedChannel
      expect(await alice.subscribe(channel, { position })).toEqual({
        __type: 'subscribeError',
        channel,
        reason: 'Channel refused',
      })
    })

    it('R3: answers "overflow" and replays nothing if the log no longer has all missed messages', async () => {
      const channel = channelName()
      const alice = await come()
      const { position } = await alice.subscribe(channel)
      // While a session exists, the log keeps its undelivered messages (L12).
      await alice.unsubscribe(channel)
      await alice.close()
      const witness = await signIn(subject, { transport: 'websocket' })
      await witness.subscribe(channel)
      const bodies = Array.from({ length: settings.maxMessages + 1 }, (_, i) => String(i))
      await Promise.all(bodies.map((body) => subject.publish(channel, body)))
      await witness.bodies(channel, bodies.length)

      const again = await come()
      const answer = await again.subscribe(channel, { position })
      expect(answer).toMatchObject({ __type: 'subscribeOk', recovered: false, reason: 'overflow' })
      expect(replayOf(answer)).toEqual([])
      await subject.publish(channel, 'live')
      expect(await again.next()).toMatchObject({ __type: 'message', body: 'live' })
    })

    it.each(['', 'no position', '0', '-1', '\u{1F600}', 'x'.repeat(65), '{"a":1}'])(
      'R7: answers "expired" to %j, which is not a position',
      async (position) => {
        const channel = channelName()
        const alice = await come()
        expect(await alice.subscribe(channel, { position })).toMatchObject({
          __type: 'subscribeOk',
          recovered: false,
          reason: 'expired',
          position: expect.any(String),
        })
        await subject.publish(channel, 'live')
        expect(await alice.next()).toMatchObject({ body: 'live' })
      },
    )

    it('R8: gives a message the same position on all nodes', async () => {
      const channel = channelName()
      const peers: Peer[] = []
      for (let i = 0; i < 4; i++) peers.push(await come())
      for (const peer of peers) await peer.subscribe(channel)
      for (let i = 0; i < 10; i++) await subject.publish(channel, String(i))
      const seen: unknown[] = []
      for (const peer of peers) seen.push((await peer.take(10)).map(({ position }) => position))
      for (const positionsSeen of seen) expect(positionsSeen).toEqual(seen[0])
    })

    it('R5: leaves out no message between a replay and live messages while messages are published', async () => {
      const channel = channelName()
      const total = 400
      let alice = await come()
      let { position } = await alice.subscribe(channel)
      const heard: string[] = []
      const publishing = (async () => {
        for (let published = 0; published < total; published++) {
          // This keeps the log from overflowing, which would be a correct reason for a gap.
          while (published - heard.length > 200) await sleep(1)
          await subject.publish(channel, String(published))
        }
      })()
      while (heard.length < total) {
        for (let i = 0; i < 60 && heard.length < total; i++) {
          const message = await alice.next()
          expect(message.__type).toBe('message')
          heard.push(message['body'] as string)
          position = message['position']
        }
        if (heard.length === total) break
        await alice.close()
        alice = await come()
        const answer = await alice.subscribe(channel, { position })
        expect(answer).toMatchObject({ recovered: true })
        heard.push(...replayOf(answer))
        position = answer['position']
      }
      await publishing
      expect(heard).toEqual(Array.from({ length: total }, (_, i) => String(i)))
    })
  })
}

export function replayOf(answer: Wire): string[] {
  return ((answer['messages'] ?? []) as [string, string][]).map(([body]) => body)
}
