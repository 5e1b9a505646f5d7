import { describe, expect, it } from 'vitest'
import { signIn } from '../../support/connect.ts'
import { channelName } from '../../support/names.ts'
import type { Peer } from '../../support/peer.ts'
import { transports, type Subject } from '../../support/subject.ts'

const oddBodies = [
  '',
  ' ',
  'plain',
  '42',
  'null',
  '{"json":true}',
  '{"__type":"authError","reason":"x"}',
  '"quoted" and \\ escaped',
  'line\nfeed\r\n\ttab',
  'nul\0byte',
  '<script>alert("&")</script>',
  '\u2028\u2029',
  'caf\u00e9 \u{1F600}\u{1F468}\u200d\u{1F469}',
  '[1,2,3]\n',
]

export function messages(subject: Subject): void {
  describe.each(transports)('Messages from the server: message, over %s', (transport) => {
    const signedIn = async (...channels: string[]): Promise<Peer> => {
      const peer = await signIn(subject, { transport })
      for (const channel of channels) await peer.subscribe(channel)
      return peer
    }

    it('M1: delivers the messages of a channel in the order of Redis', async () => {
      const channel = channelName()
      const alice = await signedIn(channel)
      const sent = Array.from({ length: 300 }, (_, i) => String(i))
      const publishing = (async () => {
        for (const body of sent) await subject.publish(channel, body)
      })()
      expect(await alice.bodies(channel, sent.length)).toEqual(sent)
      await publishing
    })

    it('M2: delivers every message once, to every subscriber and to no other client', async () => {
      const [first, second] = [channelName(), channelName()]
      const alice = await signedIn(first)
      const bob = await signedIn(second)
      const both = await signedIn(first, second)
      await subject.publish(first, '1')
      await subject.publish(second, '2')
      await subject.publish(first, '3')
      expect(await alice.bodies(first, 2)).toEqual(['1', '3'])
      expect(await bob.bodies(second, 1)).toEqual(['2'])
      // All clients have received a message. This one arrives later than the others, by itself.
      await subject.publish(first, '4')
      expect(await alice.bodies(first, 1)).toEqual(['4'])
      const heard = await both.take(4)
      expect(heard.filter(({ channel }) => channel === first).map(({ body }) => body)).toEqual([
        '1',
        '3',
        '4',
      ])
      expect(heard.filter(({ channel }) => channel === second).map(({ body }) => body)).toEqual(['2'])
      for (const peer of [alice, bob, both]) await peer.hearsNothing()
    })

    it('M2: delivers equal messages separately', async () => {
      const channel = channelName()
      const alice = await signedIn(channel)
      for (let i = 0; i < 3; i++) await subject.publish(channel, 'the same')
      expect(await alice.bodies(channel, 3)).toEqual(['the same', 'the same', 'the same'])
      await alice.hearsNothing()
    })

    it('delivers any text unchanged', async () => {
      const channel = channelName()
      const alice = await signedIn(channel)
      for (const body of oddBodies) await subject.publish(channel, body)
      expect(await alice.bodies(channel, oddBodies.length)).toEqual(oddBodies)
    })

    it('delivers a large text completely', async () => {
      const channel = channelName()
      const alice = await signedIn(channel)
      const body = 'large \u{1F600} '.repeat(20_000)
      await subject.publish(channel, body)
      const message = await alice.next()
      expect(message['body'] === body).toBe(true)
    })

    it('continues to deliver to other clients when a client of the channel leaves', async () => {
      const channel = channelName()
      const [alice, bob, carol] = [await signedIn(channel), await signedIn(channel), await signedIn(channel)]
      await subject.publish(channel, '1')
      for (const peer of [alice, bob, carol]) await peer.next()
      await bob.close()
      await alice.unsubscribe(channel)
      await subject.publish(channel, '2')
      expect(await carol.bodies(channel, 1)).toEqual(['2'])
    })
  })
}
