import { expect, it } from 'vitest'
import { Channel } from '../../server/src/channels/channel.ts'
import { makeBeacon } from '../../server/src/channels/position.ts'
import { PollAnswer } from '../../server/src/longpoll/pollAnswer.ts'
import { SharedAnswers } from '../../server/src/longpoll/sharedAnswers.ts'
import { Counts } from '../../server/src/metrics/counts.ts'
import { LongPollPeer, type Answer } from '../support/longPollPeer.ts'
import { channelName } from '../support/names.ts'
import { startServer } from '../support/server.ts'
import { tidy } from '../support/tidy.ts'

const bodies = ({ messages }: Answer) => messages.map(({ body }) => body)

it.each([
  ['before', [0, 1]],
  ['after', [1, 0]],
] as const)(
  'a poll that is sent again has its own answer, also if it comes just %s the poll of another client',
  async (_, order) => {
    const server = tidy(await startServer({ pollTime: 0 }))
    const channel = channelName()
    const [alice, bob] = [new LongPollPeer(server), new LongPollPeer(server)]
    for (const peer of [alice, bob]) {
      await peer.auth()
      await peer.subscribe(channel)
    }
    await server.publish(channel, '1')
    expect(bodies(await alice.poll({ seq: 'lost' }))).toEqual(['1'])
    await server.publish(channel, '2')
    // There are two open connections now, so that the server gets both polls in one turn of the event loop.
    await Promise.all([alice.post({ __type: 'ping' }), bob.post({ __type: 'ping' })])
    const polls = [() => alice.poll({ seq: 'lost' }), () => bob.poll({ seq: 'first' })]
    const answers: Promise<Answer>[] = []
    for (const index of order) answers[index] = polls[index]!()
    expect((await Promise.all(answers)).map(bodies)).toEqual([['1'], ['1', '2']])
  },
)

// The answers may be large, and thousands of polls may get the same one. Nobody outside can see whether it is one.
it.each([1, 2])('polls with the same messages have one answer together, with %i channels', (channels) => {
  const limits = { maxMessages: 10, maxBytes: 10_000, maxUndeliveredBytes: 10_000, onUndelivered: () => {} }
  const beacon = makeBeacon(Date.now(), 1)
  const cursors = Array.from({ length: channels }, (_, i) => {
    const channel = new Channel(channelName(), null)
    channel.begin(beacon, limits)
    const logged = channel.withLog(beacon, limits)
    if (i === 0) for (const n of [1, 2]) logged.log.append(channel.count(beacon, `"${n}"`, n, n))
    return [channel.name, { channel: logged, from: { beacon, count: 0 }, gap: null, end: null }] as const
  })
  const host = { maxAnswerBytes: 10_000, shared: new SharedAnswers(), counts: new Counts() }
  const [one, other] = [1, 2].map(() => new PollAnswer(host, new Map(cursors), true, false).answer)
  expect(one!.body).toContain('"2"')
  expect(other).toBe(one)
  expect(host.counts.deliveries.longpoll).toBe(4)
})
