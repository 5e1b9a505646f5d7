import type { Mutation } from './mutation.ts'

export const webSocket: readonly Mutation[] = [
  {
    name: 'a new subscriber gets messages that were waiting for the flush before it subscribed',
    file: 'server/src/hub/hub.ts',
    find: 'const head = this.headOf(channel)\n        channel.subscribers.add(subscriber)',
    replace: 'channel.subscribers.add(subscriber)\n        const head = this.headOf(channel)',
    seed: 35,
  },
  {
    name: 'a slow reader continues at the head and is not told of the gap',
    file: 'server/src/websocket/backlog.ts',
    find: 'if (isGap) this.#reader.gap(channel, log.start, log.startReason)',
    replace: '',
    seed: 21,
  },
  {
    name: 'live messages are written to a slow reader that lags',
    file: 'server/src/channels/fanout.ts',
    find: 'if (subscriber.isLagging) continue\n    // Most',
    replace: '// Most',
    seed: 21,
  },
  {
    name: 'a slow reader of the base is not closed at a gap',
    file: 'server/src/websocket/subscriptions.ts',
    find: "if (!this.format.positions) return this.#client.close('gap')",
    replace: 'if (!this.format.positions) return',
    seed: 21,
  },
]
