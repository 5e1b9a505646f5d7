/** A fault in the code that breaks a rule of the protocol. It replaces a text that is in the source exactly once. */
export interface Mutation {
  readonly name: string
  readonly file: string
  readonly find: string
  readonly replace: string
  /**
   * A seed that catches it. It is tried first, because most seeds do not catch most mutations. After a change of the code
   * it may be another one: then the test tries the others of the same profile, and prints which one caught it.
   */
  readonly seed?: number
}

/** The simulation has to catch each of these. The name says what the mutated code does. */
export const mutations: readonly Mutation[] = [
  // -- numbering
  {
    name: 'a node counts from the confirmation of its subscription, not from the beacon after it',
    file: 'server/src/cluster/membership.ts',
    find: 'this.#host.numbering.awaitBeacon(joined)',
    replace: 'this.#host.begin(joined)',
  },
  {
    name: 'a beacon does not restart the count of a channel',
    file: 'server/src/channels/channel.ts',
    find: 'this.#beacon = beacon\n      this.#count = 0',
    replace: 'this.#beacon = beacon',
  },
  {
    name: 'a beacon does not contain the run of the broker',
    file: 'server/src/channels/position.ts',
    find: '(ms - EPOCH_MS) * RUNS + (run % RUNS)',
    replace: '(ms - EPOCH_MS) * RUNS',
    seed: 247,
  },
  {
    name: 'positions of different runs of the broker are compared',
    file: 'server/src/channels/log.ts',
    find: 'isSameRun(position.beacon, this.#start.beacon) && ',
    replace: '',
    seed: 7033,
  },
  {
    name: 'a node continues its count when its connection to the broker breaks',
    file: 'server/src/cluster/numbering.ts',
    find: 'for (const channel of this.#host.channels.values()) channel.broken(this.#host.beacons.current)',
    replace: '',
    seed: 2,
  },
  {
    name: 'a node checks the order of messages of which it has only a part',
    file: 'server/src/cluster/orderCheck.ts',
    find: 'this.#host.channels.get(name)?.logCovering(after)\n    if (log == null ||',
    replace: 'this.#host.channels.get(name)?.log\n    if (log == null ||',
  },
  {
    name: 'a node checks the order with messages that came after those of the check',
    file: 'server/src/cluster/orderCheck.ts',
    find: '.filter((entry) => comparePositions(entry, upTo) <= 0)',
    replace: '',
  },

  // -- logs
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
  },
  {
    name: 'a replay begins with the message at the position of the client, not with the next one',
    file: 'server/src/channels/log.ts',
    find: 'if (comparePositions(this.#entries[middle]!, position) > 0)',
    replace: 'if (comparePositions(this.#entries[middle]!, position) >= 0)',
  },

  // -- recovery
  {
    name: 'a node answers that no message was published since its log started',
    file: 'server/src/cluster/recovery.ts',
    find: 'last: log.lastUpTo(position)',
    replace: 'last: log.start',
    seed: 2,
  },
  {
    name: 'a node leaves out the last message of a range',
    file: 'server/src/cluster/pages.ts',
    find: 'comparePositions(entries[end - 1]!, before) > 0',
    replace: 'comparePositions(entries[end - 1]!, before) >= 0',
    seed: 15,
  },
  {
    name: 'a page with a part of a range says that it contains the whole range',
    file: 'server/src/cluster/pages.ts',
    find: 'first === 0 ? found.start : entries[first - 1]!',
    replace: 'found.start',
    seed: 17,
  },
  {
    name: 'a node accepts a page with fewer messages than its count',
    file: 'server/src/cluster/pages.ts',
    find: 'entries.length === count && ',
    replace: '',
    seed: 241,
  },
  {
    name: 'a node accepts a page whose numbers are not consecutive',
    file: 'server/src/cluster/pages.ts',
    find: ' && isContiguous(start, entries, query.before)',
    replace: '',
    seed: 97,
  },
  {
    name: 'a node takes a page for the answer to another query',
    file: 'server/src/cluster/pages.ts',
    find: 'this.#waiting.get(id)',
    replace: '[...this.#waiting.values()][0]',
    seed: 79,
  },
  {
    name: 'a node takes the first page for the whole range',
    file: 'server/src/cluster/backfills.ts',
    find: 'log.prepend(missing, start, reasonBefore(channel))',
    replace:
      'log.prepend(missing, [...backfill.waiters].map(({ since }) => since).sort(comparePositions)[0] ?? start, reasonBefore(channel))',
    seed: 2,
  },
  {
    name: 'a node does not wait for the answers of the other nodes',
    file: 'server/src/cluster/whereabouts.ts',
    find: 'Math.min(receivers, nodes) - 1',
    replace: '0',
    seed: 5,
  },
  {
    name: 'a node does not ask about a channel that only one other node has',
    file: 'server/src/cluster/whereabouts.ts',
    find: 'subject.others = counts[i]! - 1',
    replace: 'subject.others = counts[i]! - 2',
    seed: 6,
  },
  {
    name: 'a log that begins after a claim reaches back over the messages between the two',
    file: 'server/src/cluster/beginnings.ts',
    find: 'const log = channel?.logCovering(upTo)',
    replace: 'const log = channel?.log',
    seed: 214,
  },
  {
    name: 'a claim leaves out the messages after the start of the log',
    file: 'server/src/cluster/beginnings.ts',
    find: 'positions: log.positionsUpTo(upTo, MAX_POSITIONS) }]',
    replace: 'positions: [log.start] }]',
    seed: 17,
  },
  {
    name: 'a claim with the newest messages says that there are none before them',
    file: 'server/src/channels/log.ts',
    find: 'positions.length < max ? [this.#start, ...positions] : positions',
    replace: '[this.#start, ...positions]',
    seed: 51,
  },
  {
    name: 'messages that a node missed while its connection was broken count as recovered when they are not',
    file: 'server/src/cluster/recovery.ts',
    find: 'const isFilled = log.covers(before.head)',
    replace: 'const isFilled = true',
    seed: 3,
  },
  {
    name: 'subscribers are not told of a gap when a node can not recover what it missed while its connection was broken',
    file: 'server/src/cluster/recovery.ts',
    find: 'if (!isFilled && !subscriber.isLagging) subscriber.gap(channel, log.start, log.startReason)',
    replace: '',
    seed: 3,
  },
  {
    name: 'live messages are delivered before the node has recovered what it missed while its connection was broken',
    file: 'server/src/channels/channel.ts',
    find: "this.state = 'filling'",
    replace: 'this.live()',
    seed: 2,
  },
  {
    name: 'a client that is ahead of the node continues with the next message of the node',
    file: 'server/src/cluster/recovery.ts',
    find: 'if (!isOfThisRun || comparePositions(since, head) > 0) {',
    replace: 'if (!isOfThisRun) {',
    seed: 55,
  },
  {
    name: 'a client that is ahead of the node is told of a gap, though the node is only late',
    file: 'server/src/cluster/recovery.ts',
    find: 'await deadline.wait(this.#host.beacons.fresh())',
    replace: '',
    seed: 4,
  },

  // -- release
  {
    name: 'a subscription stays when it is confirmed after its client has left',
    file: 'server/src/websocket/subscriptions.ts',
    find: '        hub.unsubscribe(this, name)\n        this.#drop(name)\n      }',
    replace: '        this.#drop(name)\n      }',
    seed: 7,
  },
  {
    name: 'a session of the base that has moved continues after an overflow of the new node, though another node had the messages',
    file: 'server/src/longpoll/poll.ts',
    find: "gap === 'overflow' && !wasRetainedHere ? 'node' : gap",
    replace: 'gap',
    seed: 1159,
  },
  {
    name: 'a request that is still running when its session ends retains the channel for ever',
    file: 'server/src/channels/undelivered.ts',
    find: 'if (this.#isReleased) return\n',
    replace: '',
    seed: 1489,
  },
  {
    name: 'a poll that has ended watches a channel that is located afterwards',
    file: 'server/src/longpoll/poll.ts',
    find: '      if (this.#isStopped || !this.#cursors.has(name)) hub.unwatch(this, channel)\n',
    replace: '',
    seed: 4,
  },
  {
    name: 'a node does not unsubscribe from a channel at the broker',
    file: 'server/src/hub/channelTable.ts',
    find: '    this.#events.removed(channels)\n',
    replace: '',
  },
  {
    name: 'messages for a session are kept after the session has ended',
    file: 'server/src/node.ts',
    find: '      this.#longPoll.sweep()\n',
    replace: '',
  },

  // -- WebSocket
  {
    name: 'a new subscriber gets messages that were waiting for the flush before it subscribed',
    file: 'server/src/hub/hub.ts',
    find: 'const head = this.headOf(channel)\n        channel.subscribers.add(subscriber)',
    replace: 'channel.subscribers.add(subscriber)\n        const head = this.headOf(channel)',
    seed: 98,
  },
  {
    name: 'a slow reader continues at the head and is not told of the gap',
    file: 'server/src/websocket/backlog.ts',
    find: 'if (isGap) this.#reader.gap(channel, log.start, log.startReason)',
    replace: '',
    seed: 12,
  },
  {
    name: 'live messages are written to a slow reader that lags',
    file: 'server/src/channels/fanout.ts',
    find: 'if (subscriber.isLagging) continue\n    // Most',
    replace: '// Most',
    seed: 3,
  },
  {
    name: 'a slow reader of the base is not closed at a gap',
    file: 'server/src/websocket/subscriptions.ts',
    find: "if (!this.format.positions) return this.#client.close('gap')",
    replace: 'if (!this.format.positions) return',
    seed: 3,
  },

  // -- long-poll
  {
    name: 'an older poll can still commit its answer',
    file: 'server/src/backends/memorySessions.ts',
    find: 'stored === undefined || stored.poller !== poller',
    replace: 'stored === undefined',
    seed: 1387,
  },
  {
    name: 'a repeated poll counts as a new one',
    file: 'server/src/longpoll/sessionCursors.ts',
    find: 'session.answer !== null && session.answer.seq !== message.seq',
    replace: 'session.answer !== null',
  },
  {
    name: 'a late copy of an earlier poll counts as a new one',
    file: 'server/src/backends/memorySessions.ts',
    find: "if (stored.seqs.includes(` ${seq} `)) return 'late'",
    replace: '',
  },
  {
    name: 'a repetition gets messages that the answer before did not have',
    file: 'server/src/longpoll/polls.ts',
    find: 'if (repeated !== null) poll.repeat(repeated.positions)',
    replace: '',
  },
  {
    name: 'the positions that a poll sends are ignored',
    file: 'server/src/longpoll/sessionCursors.ts',
    find: 'session.version > 0 ? message.positions : undefined',
    replace: 'undefined',
  },
  {
    name: 'a poll is not told of a gap',
    file: 'server/src/longpoll/poll.ts',
    find: 'if (withPositions) gaps.push',
    replace: 'if (!withPositions) gaps.push',
    seed: 3,
  },
  {
    name: 'a log drops messages that a session has not received',
    file: 'server/src/channels/log.ts',
    find: 'this.#isOver && !this.#isRetained()',
    replace: 'this.#isOver',
    seed: 39,
  },
  {
    name: 'messages that a session has not received are kept only while its poll waits',
    file: 'server/src/longpoll/poll.ts',
    find: '    this.#isStopped = true\n',
    replace: '    this.#isStopped = true\n    this.#reader().release()\n',
    seed: 57,
  },
  {
    name: 'a session retains only messages after the head, not those after its position',
    file: 'server/src/longpoll/poll.ts',
    find: 'reader.retainFrom(channel, from)',
    replace: 'reader.retainFrom(channel, this.#host.hub.headOf(channel))',
    seed: 246,
  },
  {
    name: 'a session of the base does not end at a gap',
    file: 'server/src/longpoll/polls.ts',
    find: 'if (poll.hasGap || ',
    replace: 'if (',
    seed: 4,
  },

  // -- the client
  {
    name: 'the client reconnects without its positions',
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
    name: 'the client takes the position of a late answer for the newest one',
    file: 'client/src/channel.ts',
    find: 'for (const message of held) this.#take(message)',
    replace: 'for (const message of held) this.#take(message)\n    this.#position = position',
    seed: 388,
  },
  {
    name: 'the client accepts messages from a poll that was sent without its position',
    file: 'client/src/channel.ts',
    find: '        if (!this.#isInStep) return\n',
    replace: '',
    seed: 541,
  },
  {
    name: 'the client accepts messages that were in flight when it unsubscribed, after it has subscribed again',
    file: 'client/src/channel.ts',
    find: '(!isResumed && !link.left.has(channel))',
    replace: '!isResumed',
    seed: 4681,
  },
  {
    name: 'the client does not report a gap when it was not recovered',
    file: 'client/src/channel.ts',
    find: 'if (isBack && !recovered)',
    replace: 'if (isBack && recovered === undefined)',
    seed: 3,
  },
]
