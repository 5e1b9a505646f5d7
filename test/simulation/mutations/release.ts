import type { Mutation } from './mutation.ts'

export const release: readonly Mutation[] = [
  {
    name: 'a subscription stays when it is confirmed after its client has left',
    file: 'server/src/websocket/subscriptions.ts',
    find: '        hub.unsubscribe(this, name)\n        this.#drop(name)\n      }',
    replace: '        this.#drop(name)\n      }',
    seed: 7,
  },
  {
    name: 'a session continues after an overflow on a node that has retained only later messages for it',
    file: 'server/src/longpoll/poll.ts',
    find: 'retained !== null && since !== null && !isAfter(retained, since)',
    replace: 'retained !== null',
    seed: -689,
  },
  {
    name: 'a session of the base that has moved continues after an overflow of the new node, though another node had the messages',
    file: 'server/src/longpoll/poll.ts',
    find: "gap === 'overflow' && !wasRetainedHere ? 'node' : gap",
    replace: 'gap',
    seed: 2140,
  },
  {
    name: 'a request that is still running when its session ends retains the channel for ever',
    file: 'server/src/channels/undelivered.ts',
    find: 'if (this.#isReleased) return\n',
    replace: '',
    seed: 940,
  },
  {
    name: 'a poll that has ended watches a channel that is located afterwards',
    file: 'server/src/longpoll/poll.ts',
    find: '      if (this.#isStopped || !this.#cursors.has(name)) hub.unwatch(this, channel)\n',
    replace: '',
    seed: 31,
  },
  {
    name: 'a node does not unsubscribe from a channel at the broker',
    file: 'server/src/hub/channelTable.ts',
    find: '    this.#events.removed(channels)\n',
    replace: '',
    seed: 0,
  },
  {
    name: 'messages for a session are kept after the session has ended',
    file: 'server/src/node/node.ts',
    find: '      this.#longPoll.sweep()\n',
    replace: '',
    seed: 0,
  },
]
