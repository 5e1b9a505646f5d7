import type { Mutation } from './mutation.ts'

export const logs: readonly Mutation[] = [
  {
    name: 'a log covers messages that it has dropped',
    file: 'server/src/channels/log.ts',
    find: '    this.#start = positionOf(entry)\n',
    replace: '',
    seed: 3,
  },
  {
    name: 'a log does not cover the position at which it starts',
    file: 'server/src/channels/log.ts',
    find: 'comparePositions(position, this.#start) >= 0',
    replace: 'comparePositions(position, this.#start) > 0',
    seed: 0,
  },
  {
    name: 'a replay begins with the message at the position of the client, not with the next one',
    file: 'server/src/channels/log.ts',
    find: 'if (comparePositions(this.#entries[middle]!, position) > 0)',
    replace: 'if (comparePositions(this.#entries[middle]!, position) >= 0)',
    seed: 0,
  },
]
