/** One rule of the protocol, broken: a piece of source, which is there exactly once, and what takes its place. */
export interface Mutation {
  readonly name: string
  readonly file: string
  readonly find: string
  readonly replace: string
  /** The profile in which it shows soonest, where it takes many seeds of all. */
  readonly profile?: string
}

/** Each of these has to be caught. What the code would do with it is in the name. */
export const mutations: readonly Mutation[] = [
  // -- numbering
  {
    name: 'a node counts from the confirmation of its subscription, not from the beacon after it',
    file: 'server/src/cluster/membership.ts',
    find: 'this.recount(joined)',
    replace: 'this.#host.begin(joined)',
  },
  {
    name: 'the count goes on over a beacon',
    file: 'server/src/channels/channel.ts',
    find: 'this.#beacon = beacon\n      this.#count = 0',
    replace: 'this.#beacon = beacon',
  },
  {
    name: 'a beacon does not say of which run of the broker it is',
    file: 'server/src/channels/position.ts',
    find: 'ms * RUNS + (run % RUNS)',
    replace: 'ms * RUNS',
    profile: 'broker restarts',
  },
  {
    name: 'positions of two runs of the broker are compared',
    file: 'server/src/channels/log.ts',
    find: 'isSameRun(position.beacon, this.#start.beacon) && ',
    replace: '',
    profile: 'broker restarts',
  },
  {
    name: 'a node goes on counting when its connection to the broker breaks',
    file: 'server/src/hub/hub.ts',
    find: 'for (const channel of this.#channels.values()) channel.broken(this.#beacons.current)',
    replace: '',
  },

  // -- logs
  {
    name: 'what was trimmed counts as covered',
    file: 'server/src/channels/log.ts',
    find: '    this.#start = positionOf(entry)\n',
    replace: '',
  },
  {
    name: 'the place where a log begins does not count as covered',
    file: 'server/src/channels/log.ts',
    find: 'comparePositions(position, this.#start) >= 0',
    replace: 'comparePositions(position, this.#start) > 0',
  },
  {
    name: 'a replay begins with the message that the client has',
    file: 'server/src/channels/log.ts',
    find: 'if (comparePositions(this.#entries[middle]!, position) > 0)',
    replace: 'if (comparePositions(this.#entries[middle]!, position) >= 0)',
  },

  // -- recovery
  {
    name: 'a node says that nothing was published since its log began',
    file: 'server/src/cluster/recovery.ts',
    find: 'last: log.lastUpTo(at)',
    replace: 'last: log.start',
  },
  {
    name: 'a node leaves out the last message of a range',
    file: 'server/src/cluster/pages.ts',
    find: 'comparePositions(entries[end - 1]!, before) > 0',
    replace: 'comparePositions(entries[end - 1]!, before) >= 0',
    profile: 'covered faults',
  },
  {
    name: 'a page that has room for a part of the range counts as all of it',
    file: 'server/src/cluster/pages.ts',
    find: 'first === 0 ? found.start : entries[first - 1]!',
    replace: 'found.start',
  },
  {
    name: 'a page with fewer messages than it says is taken',
    file: 'server/src/cluster/pages.ts',
    find: 'entries.length === count && ',
    replace: '',
    profile: 'many nodes',
  },
  {
    name: 'a page in which the numbers have a hole is taken',
    file: 'server/src/cluster/pages.ts',
    find: ' && isContiguous(start, entries, query.before)',
    replace: '',
    profile: 'many nodes',
  },
  {
    name: 'a page is taken for the answer to another question',
    file: 'server/src/cluster/pages.ts',
    find: 'this.#waiting.get(id)',
    replace: '[...this.#waiting.values()][0]',
    profile: 'many nodes',
  },
  {
    name: 'the first page counts as all of them',
    file: 'server/src/cluster/backfills.ts',
    find: 'log.prepend(missing, start, reasonFor(channel))',
    replace:
      'log.prepend(missing, [...backfill.waiters].map(({ since }) => since).sort(comparePositions)[0] ?? start, reasonFor(channel))',
  },
  {
    name: 'nobody waits for the answers of the other nodes',
    file: 'server/src/cluster/whereabouts.ts',
    find: 'Math.min(receivers, nodes) - 1',
    replace: '0',
  },
  {
    name: 'nobody is asked about a channel that one other node holds',
    file: 'server/src/cluster/whereabouts.ts',
    find: 'filter((_, i) => (counts[i] ?? 0) > 1)',
    replace: 'filter((_, i) => (counts[i] ?? 0) > 2)',
  },
  {
    name: 'the hole that a broken connection left counts as filled',
    file: 'server/src/cluster/recovery.ts',
    find: 'const isFilled = log.covers(before.head)',
    replace: 'const isFilled = true',
  },
  {
    name: 'a hole that can not be filled is not told',
    file: 'server/src/cluster/recovery.ts',
    find: 'if (!isFilled && !subscriber.isLagging) subscriber.gap(channel, log.start, log.startReason)',
    replace: '',
  },
  {
    name: 'live messages are delivered before the hole is filled',
    file: 'server/src/channels/channel.ts',
    find: "this.state = 'filling'",
    replace: 'this.live()',
  },
  {
    name: 'a client that is ahead of the node goes on with what the node has next',
    file: 'server/src/cluster/recovery.ts',
    find: 'if (!isOfThisRun || comparePositions(since, head) > 0) {',
    replace: 'if (!isOfThisRun) {',
    profile: 'flaky network',
  },
  {
    name: 'a client that is ahead of the node is told of a gap at once',
    file: 'server/src/cluster/recovery.ts',
    find: 'await deadline.wait(this.#host.beacons.fresh())',
    replace: '',
  },

  // -- what nobody needs is let go
  {
    name: 'a subscription that is confirmed when its client has left stays',
    file: 'server/src/websocket/subscriptions.ts',
    find: '        hub.unsubscribe(this, name)\n        this.#drop(name)\n      }',
    replace: '        this.#drop(name)\n      }',
  },
  {
    name: 'a session of the base that moved goes on behind what the new node has no room for, though another node kept it',
    file: 'server/src/longpoll/poll.ts',
    find: "gap === 'overflow' && !wasKeptHere ? 'node' : gap",
    replace: 'gap',
    profile: 'many nodes',
  },
  {
    name: 'a request that is still at work when its session ends retains the channel for ever',
    file: 'server/src/channels/undelivered.ts',
    find: 'if (this.#isReleased) return\n',
    replace: '',
    profile: 'broker restarts',
  },
  {
    name: 'a channel that is found when its poll has ended stays watched',
    file: 'server/src/longpoll/poll.ts',
    find: '      if (this.#isStopped || !this.#cursors.has(name)) hub.unwatch(this, channel)\n',
    replace: '',
  },
  {
    name: 'the broker is not told that a channel is not wanted any more',
    file: 'server/src/hub/hub.ts',
    find: '    this.#membership.leave(channels)\n',
    replace: '',
  },
  {
    name: 'what an ended session lacks is kept',
    file: 'server/src/node.ts',
    find: '      this.#longPoll.sweep()\n',
    replace: '',
  },

  // -- WebSocket
  {
    name: 'what waits for the flush goes to a new subscriber too',
    file: 'server/src/hub/hub.ts',
    find: 'const head = this.headOf(channel)\n      channel.subscribers.add(subscriber)',
    replace: 'channel.subscribers.add(subscriber)\n      const head = this.headOf(channel)',
    profile: 'everything',
  },
  {
    name: 'a slow reader goes on at the head, and is not told',
    file: 'server/src/websocket/backlog.ts',
    find: 'if (isGap) this.#reader.gap(channel, log.start, log.startReason)',
    replace: '',
  },
  {
    name: 'a slow reader is written to all the same',
    file: 'server/src/channels/fanout.ts',
    find: 'if (subscriber.isLagging) continue\n    // Most',
    replace: '// Most',
  },
  {
    name: 'a slow reader of the base is not closed at a gap',
    file: 'server/src/websocket/subscriptions.ts',
    find: "if (!this.format.positions) return this.#client.close('gap')",
    replace: 'if (!this.format.positions) return',
  },

  // -- long-poll
  {
    name: 'an older poll may still commit its answer',
    file: 'server/src/backends/memorySessions.ts',
    find: 'stored === undefined || stored.poller !== poller',
    replace: 'stored === undefined',
    profile: 'flaky network',
  },
  {
    name: 'the repetition of a poll counts as a new one',
    file: 'server/src/longpoll/sessionPlaces.ts',
    find: 'session.answer !== null && session.answer.seq !== message.seq',
    replace: 'session.answer !== null',
  },
  {
    name: 'a poll is answered from where the session began, whatever it tells',
    file: 'server/src/longpoll/sessionPlaces.ts',
    find: 'session.version > 0 ? message.positions : undefined',
    replace: 'undefined',
  },
  {
    name: 'a poll is not told of a gap',
    file: 'server/src/longpoll/poll.ts',
    find: 'if (withPositions) gaps.push',
    replace: 'if (!withPositions) gaps.push',
  },
  {
    name: 'what a session was not given yet is thrown away with the rest',
    file: 'server/src/channels/log.ts',
    find: 'this.#isOver && !this.#isKept()',
    replace: 'this.#isOver',
    profile: 'slow readers',
  },
  {
    name: 'what a session was not given yet is kept only while its poll waits',
    file: 'server/src/longpoll/poll.ts',
    find: '    this.#isStopped = true\n',
    replace: '    this.#isStopped = true\n    this.#reader().release()\n',
    profile: 'slow readers',
  },
  {
    name: 'a session is taken to have got what it was answered last',
    file: 'server/src/longpoll/poll.ts',
    find: 'keep(channel, from)',
    replace: 'keep(channel, this.#host.hub.headOf(channel))',
    profile: 'slow readers',
  },
  {
    name: 'a session of the base does not end at a gap',
    file: 'server/src/longpoll/polls.ts',
    find: 'if (poll.hasGap || ',
    replace: 'if (',
  },

  // -- the client
  {
    name: 'the client comes back without its positions',
    file: 'client/src/channel.ts',
    find: 'const isResumed = link.hasAdditions && position !== undefined',
    replace: 'const isResumed = link.hasAdditions && position === null',
  },
  {
    name: 'messages do not advance the client’s position',
    file: 'client/src/channel.ts',
    find: '    this.#position = position\n    this.listeners.deliver',
    replace: '    this.listeners.deliver',
  },
  {
    name: 'the client takes the position of a late answer for the newest',
    file: 'client/src/channel.ts',
    find: 'for (const message of held) this.#take(message)',
    replace: 'for (const message of held) this.#take(message)\n    this.#position = position',
  },
  {
    name: 'the client takes what a poll brings that does not know where it is',
    file: 'client/src/channel.ts',
    find: '        if (!this.#isInStep) return\n',
    replace: '',
    profile: 'flaky network',
  },
  {
    name: 'the client takes what was on its way when it unsubscribed for what comes since it subscribed again',
    file: 'client/src/channel.ts',
    find: '(!isResumed && !link.left.has(channel))',
    replace: '!isResumed',
    profile: 'flaky network',
  },
  {
    name: 'the client does not tell that it was not recovered',
    file: 'client/src/channel.ts',
    find: 'if (isBack && !recovered)',
    replace: 'if (isBack && recovered === undefined)',
  },
]
