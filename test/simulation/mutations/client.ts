import type { Mutation } from './mutation.ts'

export const client: readonly Mutation[] = [
  {
    name: 'the client reconnects without its positions',
    file: 'client/src/channel.ts',
    find: 'const isResumed = link.hasAdditions && position !== undefined',
    replace: 'const isResumed = link.hasAdditions && position === null',
    seed: 0,
  },
  {
    name: 'messages do not advance the client’s position',
    file: 'client/src/channel.ts',
    find: '    this.position = position\n    this.listeners.deliver',
    replace: '    this.listeners.deliver',
    seed: 0,
  },
  {
    name: 'the client takes the position of a late answer for the newest one',
    file: 'client/src/channel.ts',
    find: 'for (const message of held) this.#take(message)',
    replace: 'for (const message of held) this.#take(message)\n    this.position = position',
    seed: 2935,
  },
  {
    name: 'the client accepts messages from a poll that was sent without its position',
    file: 'client/src/channel.ts',
    find: '        if (!this.#isInStep) return\n',
    replace: '',
    seed: 109,
  },
  {
    name: 'the client accepts messages that were in flight when it unsubscribed, after it has subscribed again',
    file: 'client/src/channel.ts',
    find: '(!isResumed && !history && !left.has(channel))',
    replace: '(!isResumed && !history)',
    seed: 2440,
  },
  {
    name: 'the client does not report a gap when it was not recovered',
    file: 'client/src/channel.ts',
    find: 'if (isBack && !recovered)',
    replace: 'if (isBack && recovered === undefined)',
    seed: 3,
  },
]
