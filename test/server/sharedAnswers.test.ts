import { expect, it } from 'vitest'
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
