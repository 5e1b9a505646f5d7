import { describe, expect, it } from 'vitest'
import { noticed, publishAndArrive, waitingPoll } from '../../support/barriers.ts'
import { LongPollPeer, type Answer } from '../../support/longPollPeer.ts'
import { channelName } from '../../support/names.ts'
import type { Subject } from '../../support/subject.ts'
import { tidy } from '../../support/tidy.ts'
import { sleep, within } from '../../support/waiting.ts'
import { otherSettings, type Kind } from '../subjects.ts'

export function polling(subject: Subject, kind: Kind): void {
  const signIn = async (at: Subject, ...channels: string[]) => {
    const peer = new LongPollPeer(at)
    await peer.auth()
    for (const channel of channels) await peer.subscribe(channel)
    return peer
  }
  const bodies = ({ messages }: Answer) => messages.map(({ body }) => body)
  /** Resolves when all but the newest of the polls are answered. */
  const allButOne = (polls: readonly Promise<Answer>[]) => {
    let answered = 0
    const done = new Promise<void>((resolve) => {
      for (const poll of polls) void poll.then(() => ++answered === polls.length - 1 && resolve())
    })
    return within(done, 'all polls but the newest to be ended')
  }

  describe('Transports: polls', () => {
    it('L4: answers a poll with an empty array when no message arrives', otherSettings(kind), async () => {
      const short = tidy(await kind.startWith!({ timeout: 1500, pollTime: 500 }))
      const alice = await signIn(short, channelName())
      const start = performance.now()
      const { status, messages } = await alice.poll()
      expect({ status, messages }).toEqual({ status: 200, messages: [] })
      expect(performance.now() - start).toBeGreaterThan(950)
    })

    it('L4: answers after timeout less pollTime', otherSettings(kind), async () => {
      const late = tidy(await kind.startWith!({ timeout: 2500, pollTime: 500 }))
      const early = tidy(await kind.startWith!({ timeout: 2500, pollTime: 1500 }))
      const [alice, bob] = [await signIn(late, channelName()), await signIn(early, channelName())]
      const answered: string[] = []
      const polls = [
        alice.poll().then(() => answered.push('late')),
        bob.poll().then(() => answered.push('early')),
      ]
      await within(Promise.all(polls), 'both answers')
      expect(answered).toEqual(['early', 'late'])
    })

    it(
      'L4: answers with all messages that arrive within pollTime after the first one',
      otherSettings(kind),
      async () => {
        const patient = tidy(await kind.startWith!({ pollTime: 3000 }))
        const [first, second] = [channelName(), channelName()]
        const alice = await signIn(patient, first, second)
        const poll = await waitingPoll(alice)
        await patient.publish(first, '1')
        await sleep(100)
        await patient.publish(second, '2')
        await patient.publish(first, '3')
        expect((await poll.answer).messages).toEqual([
          { __type: 'message', channel: first, body: '1' },
          { __type: 'message', channel: second, body: '2' },
          { __type: 'message', channel: first, body: '3' },
        ])
      },
    )

    it('L4: answers at once if a message has already waited for pollTime', otherSettings(kind), async () => {
      const slow = tidy(await kind.startWith!({ timeout: 60_000, pollTime: 1500 }))
      const [old, fresh] = [channelName(), channelName()]
      const [alice, bob] = [await signIn(slow, old), await signIn(slow, fresh)]
      await publishAndArrive(slow, old, ['1', '2'])
      await sleep(1600)
      await publishAndArrive(slow, fresh, ['3'])
      const answered: string[] = []
      const polls = [bob, alice].map(async (peer) => {
        const messages = bodies(await peer.poll())
        answered.push(...(messages as string[]))
      })
      await within(Promise.all(polls), 'both answers')
      expect(answered, 'the new message waits for others').toEqual(['1', '2', '3'])
    })

    it('L15: with the additions, answers with a lone message at once', otherSettings(kind), async () => {
      const patient = tidy(await kind.startWith!({ timeout: 120_000, pollTime: 60_000 }))
      const channel = channelName()
      const [alice, bob] = [new LongPollPeer(patient), await signIn(patient, channel)]
      await alice.auth({ __v: 1 })
      await alice.subscribe(channel)
      const polls = [await waitingPoll(alice), await waitingPoll(bob)] as const
      let isBobAnswered = false
      polls[1].answer.then(
        () => (isBobAnswered = true),
        () => {},
      )
      await patient.publish(channel, 'hello')
      expect(bodies(await within(polls[0].answer, 'the answer with the lone message'))).toEqual(['hello'])
      await noticed(bob)
      expect(isBobAnswered, 'for a base client the message waits').toBe(false)
    })

    it('L5: ends a poll when a newer one arrives', async () => {
      const channel = channelName()
      const alice = await signIn(subject, channel)
      const polls = [1, 2, 3, 4, 5].map(() => alice.poll())
      await allButOne(polls)
      await subject.publish(channel, 'hello')
      const answers = await Promise.all(polls)
      expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200])
      expect(answers.flatMap(bodies)).toEqual(['hello'])
      await alice.hearsNothing()
    })

    it.each([
      ['a client of the base', {}, { status: 503, types: ['serverError'] }],
      ['a client with the additions', { __v: 1 }, { status: 200, types: [] }],
    ])('L5: ends the older one of two equal polls of %s', async (_who, auth, expected) => {
      const channel = channelName()
      const alice = new LongPollPeer(subject)
      await alice.auth(auth)
      await alice.subscribe(channel)
      const polls = [1, 2].map(() => alice.poll({ seq: 'same' }))
      const ended = await within(Promise.race(polls), 'the older poll to be ended')
      expect(ended.messages.map(({ __type }) => __type)).toEqual(expected.types)
      expect(ended.status).toBe(expected.status)
      await subject.publish(channel, 'hello')
      expect((await Promise.all(polls)).flatMap(bodies).filter(Boolean)).toEqual(['hello'])
    })

    it('L5: delivers a channel that is subscribed during a waiting poll to that poll', async () => {
      const channel = channelName()
      const alice = await signIn(subject)
      const poll = await waitingPoll(alice)
      await alice.subscribe(channel)
      await subject.publish(channel, 'hello')
      expect((await poll.answer).messages).toEqual([{ __type: 'message', channel, body: 'hello' }])
    })

    it('L5: does not deliver a channel that is unsubscribed during a waiting poll to that poll', async () => {
      const [kept, left] = [channelName(), channelName()]
      const alice = await signIn(subject, kept, left)
      const poll = await waitingPoll(alice)
      await alice.unsubscribe(left)
      await subject.publish(left, 'not for alice')
      await subject.publish(kept, 'for alice')
      expect((await poll.answer).messages).toEqual([{ __type: 'message', channel: kept, body: 'for alice' }])
    })

    it('L6: answers the same poll again with the same messages', async () => {
      const channel = channelName()
      const alice = await signIn(subject, channel)
      await publishAndArrive(subject, channel, ['1', '2'])
      expect(bodies(await alice.poll({ seq: 'a' }))).toEqual(['1', '2'])
      expect(bodies(await alice.poll({ seq: 'a' }))).toEqual(['1', '2'])
      await publishAndArrive(subject, channel, ['3'])
      expect(bodies(await alice.poll({ seq: 'a' })), 'the client may have the first answer').toEqual([
        '1',
        '2',
      ])
      await publishAndArrive(subject, channel, ['4'])
      expect(bodies(await alice.poll({ seq: 'b' }))).toEqual(['3', '4'])
    })

    it(
      'L6: answers a poll with an empty answer again with an empty answer',
      otherSettings(kind),
      async () => {
        const short = tidy(await kind.startWith!({ timeout: 1500, pollTime: 500 }))
        const channel = channelName()
        const alice = await signIn(short, channel)
        expect(bodies(await alice.poll({ seq: 'a' }))).toEqual([])
        await publishAndArrive(short, channel, ['1'])
        expect(bodies(await alice.poll({ seq: 'a' }))).toEqual([])
        expect(bodies(await alice.poll({ seq: 'b' }))).toEqual(['1'])
      },
    )

    it('L6: a late copy of an earlier poll confirms nothing', async () => {
      const channel = channelName()
      const alice = await signIn(subject, channel)
      for (const seq of ['1', '2', 'x'.repeat(1000), '3']) {
        await publishAndArrive(subject, channel, [seq])
        expect(bodies(await alice.poll({ seq }))).toEqual([seq])
      }
      // The client has not received the last answer.
      for (const seq of ['1', 'x'.repeat(1000), '2']) {
        const { status, messages } = await alice.poll({ seq })
        expect({ status, messages }).toEqual({ status: 200, messages: [] })
      }
      await publishAndArrive(subject, channel, ['4'])
      expect(bodies(await alice.poll({ seq: '3' }))).toEqual(['3'])
      expect(bodies(await alice.poll({ seq: '4' }))).toEqual(['4'])
    })

    it('L6: a late copy of one of the last 20 polls does not end the poll that waits', async () => {
      const channel = channelName()
      const alice = await signIn(subject, channel)
      await publishAndArrive(subject, channel, ['1'])
      expect(bodies(await alice.poll({ seq: 'early' }))).toEqual(['1'])
      const between = Array.from({ length: 17 }, (_, i) => alice.poll({ seq: `${i} in between` }))
      await allButOne(between)
      const waiting = await waitingPoll(alice)
      await within(Promise.all(between), 'all earlier polls to be ended')
      expect(bodies(await alice.poll({ seq: 'early' }))).toEqual([])
      await subject.publish(channel, '2')
      expect(bodies(await waiting.answer)).toEqual(['2'])
    })

    it.each([
      ['a missing seq', {}, { seq: '' }],
      ['null', { seq: null }, { seq: '' }],
      ['an object', { seq: { x: 1 } }, { seq: '' }],
      ['a number', { seq: 7 }, { seq: '7' }],
    ])('L6: reads %s as a seq all the same', async (_, written, read) => {
      const channel = channelName()
      const alice = await signIn(subject, channel)
      await publishAndArrive(subject, channel, ['hello'])
      expect(bodies(await alice.post({ __type: 'poll', ...written }))).toEqual(['hello'])
      expect(bodies(await alice.poll(read))).toEqual(['hello'])
    })

    it('L6: accepts any text as seq', async () => {
      const channel = channelName()
      const alice = await signIn(subject, channel)
      for (const seq of ['with a space', '\u{1F600}', '__proto__', 'x'.repeat(1000)]) {
        await publishAndArrive(subject, channel, [seq])
        expect(bodies(await alice.poll({ seq }))).toEqual([seq])
      }
    })

    it('L7: loses no message when a client aborts a waiting poll', async () => {
      const channel = channelName()
      const alice = await signIn(subject, channel)
      const poll = await waitingPoll(alice)
      poll.abort()
      await noticed(alice)
      await subject.publish(channel, 'hello')
      expect(await alice.bodies(channel, 1)).toEqual(['hello'])
      await alice.hearsNothing()
    })

    it('L7: loses no message when a client aborts a poll and polls again after the message', async () => {
      const channel = channelName()
      const [alice, bob] = [await signIn(subject, channel), await signIn(subject, channel)]
      const poll = await waitingPoll(alice)
      poll.abort()
      await noticed(alice)
      const witness = await waitingPoll(bob)
      await subject.publish(channel, 'hello')
      // If the aborted poll still waited, it would be answered at the same time.
      expect(bodies(await witness.answer)).toEqual(['hello'])
      await noticed(alice)
      expect(bodies(await alice.poll())).toEqual(['hello'])
    })

    it(
      'L7: loses no message when a client aborts a poll that gathers messages',
      otherSettings(kind),
      async () => {
        const patient = tidy(await kind.startWith!({ pollTime: 2000 }))
        const channel = channelName()
        const alice = await signIn(patient, channel)
        const poll = await waitingPoll(alice)
        await publishAndArrive(patient, channel, ['1'])
        poll.abort()
        await noticed(alice)
        await patient.publish(channel, '2')
        expect(await alice.bodies(channel, 2)).toEqual(['1', '2'])
      },
    )

    it('L8: answers from the positions that a poll sends', async () => {
      const [channel, other] = [channelName(), channelName()]
      const alice = new LongPollPeer(subject)
      await alice.auth({ __v: 1 })
      const { position: start } = await alice.subscribe(channel)
      await alice.subscribe(other)
      await publishAndArrive(subject, channel, ['1', '2', '3'])
      const { messages } = await alice.poll({ seq: '1' })
      expect(messages.map(({ body }) => body)).toEqual(['1', '2', '3'])

      expect(bodies(await alice.poll({ seq: '2', positions: { [channel]: start } }))).toEqual(['1', '2', '3'])
      const afterFirst = { [channel]: messages[0]!['position'] }
      expect(bodies(await alice.poll({ seq: '3', positions: afterFirst }))).toEqual(['2', '3'])
      await subject.publish(other, 'elsewhere')
      const afterAll = { [channel]: messages[2]!['position'] }
      expect(bodies(await alice.poll({ seq: '4', positions: afterAll }))).toEqual(['elsewhere'])
    })

    it('R7: answers with a gap if a position in a poll is none', async () => {
      const channel = channelName()
      const alice = new LongPollPeer(subject)
      await alice.auth({ __v: 1 })
      await alice.subscribe(channel)
      for (const position of ['no position', 'x'.repeat(65)]) {
        expect((await alice.poll({ positions: { [channel]: position } })).messages).toEqual([
          { __type: 'gap', channel, position: expect.any(String), reason: 'expired' },
        ])
      }
    })

    it('keeps messages that arrive before the first poll and between polls', async () => {
      const channel = channelName()
      const alice = await signIn(subject, channel)
      for (let round = 0; round < 5; round++) {
        await publishAndArrive(subject, channel, [`${round}a`, `${round}b`])
        expect(bodies(await alice.poll())).toEqual([`${round}a`, `${round}b`])
      }
    })
  })
}
