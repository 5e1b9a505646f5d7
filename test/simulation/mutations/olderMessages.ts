import type { Mutation } from './mutation.ts'

export const olderMessages: readonly Mutation[] = [
  {
    name: 'the client accepts messages from a poll that was sent before it asked for older ones',
    file: 'client/src/channel.ts',
    find: '(!isResumed && !history && !left.has(channel))',
    replace: '(!isResumed && !left.has(channel))',
    seed: 109,
  },
  {
    name: 'the client tells a gap when it has asked for older messages',
    file: 'client/src/channel.ts',
    find: 'this.#isOn ? recovered === false : this.hasBeenOn',
    replace: 'this.hasBeenOn',
    seed: 0,
  },
  {
    name: 'a node sends older messages up to its head, not up to the position of the client',
    file: 'server/src/websocket/subscriptions.ts',
    find: 'since ?? hub.headOf(held)',
    replace: 'hub.headOf(held)',
    seed: 1000064,
  },
  {
    name: 'a node sends the messages after the position of the client as older ones, too',
    file: 'server/src/hub/liveChannels.ts',
    find: 'gap === null && since !== null ? since : head',
    replace: 'head',
    seed: 73,
  },
  {
    name: 'a session does not continue at the position of the answer with the older messages',
    file: 'server/src/longpoll/sessionChannels.ts',
    find: 'const replace = isResuming || asked !== undefined',
    replace: 'const replace = isResuming',
    seed: 73,
  },
  {
    name: 'a node sends older messages as far as it has them, and leaves out the newest',
    file: 'server/src/channels/log.ts',
    find: 'this.#entries.slice(Math.max(this.#first, end - max), end)',
    replace: 'this.#entries.slice(this.#first, Math.min(end, this.#first + max))',
    seed: 0,
  },
]
