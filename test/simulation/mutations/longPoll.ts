import type { Mutation } from './mutation.ts'

export const longPoll: readonly Mutation[] = [
  {
    name: 'an older poll can still commit its answer',
    file: 'server/src/backends/memorySessions.ts',
    find: 'stored === undefined || stored.poller !== poller',
    replace: 'stored === undefined',
    seed: 820,
  },
  {
    name: 'a repeated poll counts as a new one',
    file: 'server/src/longpoll/sessionCursors.ts',
    find: 'session.answer !== null && session.answer.seq !== message.seq',
    replace: 'session.answer !== null',
    seed: 1,
  },
  {
    name: 'a late copy of an earlier poll counts as a new one',
    file: 'server/src/backends/memorySessions.ts',
    find: "if (stored.seqs.includes(` ${seq} `)) return 'late'",
    replace: '',
    seed: 1,
  },
  {
    name: 'a repetition gets messages that the answer before did not have',
    file: 'server/src/longpoll/polls.ts',
    find: 'if (repeated !== null) poll.repeat(repeated.positions)',
    replace: '',
    seed: 1,
  },
  {
    name: 'the positions that a poll sends are ignored',
    file: 'server/src/longpoll/sessionCursors.ts',
    find: 'session.version > 0 ? message.positions : undefined',
    replace: 'undefined',
    seed: 0,
  },
  {
    name: 'a poll is not told of a gap',
    file: 'server/src/longpoll/pollAnswer.ts',
    find: 'if (this.#withPositions)\n',
    replace: 'if (!this.#withPositions)\n',
    seed: 66,
  },
  {
    name: 'a log drops messages that a session has not received',
    file: 'server/src/channels/log.ts',
    find: 'this.#isOver && !this.#isRetained()',
    replace: 'this.#isOver',
    seed: 138,
  },
  {
    name: 'messages that a session has not received are kept only while its poll waits',
    file: 'server/src/longpoll/poll.ts',
    find: '    this.#isStopped = true\n',
    replace: '    this.#isStopped = true\n    this.#reader.release()\n',
    seed: 138,
  },
  {
    name: 'a session retains only messages after the head, not those after its position',
    file: 'server/src/longpoll/poll.ts',
    find: 'this.#reader.retainFrom(channel, since)',
    replace: 'this.#reader.retainFrom(channel, this.#host.hub.headOf(channel))',
    seed: 1317,
  },
  {
    name: 'a session of the base does not end at a gap',
    file: 'server/src/longpoll/polls.ts',
    find: 'if (gap !== null || ',
    replace: 'if (',
    seed: 67,
  },
]
