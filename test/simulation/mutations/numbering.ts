import type { Mutation } from './mutation.ts'

export const numbering: readonly Mutation[] = [
  {
    name: 'a node counts from the confirmation of its subscription, not from the beacon after it',
    file: 'server/src/cluster/membership.ts',
    find: 'this.#host.numbering.awaitBeacon(joined)',
    replace: 'this.#host.begin(joined)',
    seed: 10,
  },
  {
    name: 'a beacon does not restart the count of a channel',
    file: 'server/src/channels/channel.ts',
    find: 'this.#beacon = beacon\n      this.#count = 0',
    replace: 'this.#beacon = beacon',
    seed: 2,
  },
  {
    name: 'a beacon does not contain the run of the broker',
    file: 'server/src/channels/position.ts',
    find: '(ms - EPOCH_MS) * RUNS + (run % RUNS)',
    replace: '(ms - EPOCH_MS) * RUNS',
    seed: 13,
  },
  {
    name: 'positions of different runs of the broker are compared',
    file: 'server/src/channels/position.ts',
    find: 'return a % RUNS === b % RUNS',
    replace: 'return Number.isFinite(a + b)',
    seed: 625,
  },
  {
    name: 'a node continues its count when its connection to the broker breaks',
    file: 'server/src/cluster/numbering.ts',
    find: 'for (const channel of this.#host.channels.values()) channel.broken(this.#host.beacons.current)',
    replace: '',
    seed: 2,
  },
  {
    name: 'a run goes on after its numbers went backwards',
    file: 'server/src/cluster/numbering.ts',
    find: 'beacons.endRun()\n',
    replace: '\n',
    seed: 166,
  },
  {
    name: 'a number that comes again is ignored',
    file: 'server/src/cluster/numbering.ts',
    find: 'if (beacon <= before) {',
    replace: 'if (beacon < before) {',
    seed: 670,
  },
  {
    name: 'a node checks the order of messages of which it has only a part',
    file: 'server/src/cluster/orderCheck.ts',
    find: 'this.#host.channels.get(name)?.logCovering(after)\n    if (log == null ||',
    replace: 'this.#host.channels.get(name)?.log\n    if (log == null ||',
    seed: 11,
  },
  {
    name: 'a node checks the order with messages that came after those of the check',
    file: 'server/src/cluster/orderCheck.ts',
    find: '.filter((entry) => comparePositions(entry, upTo) <= 0)',
    replace: '',
    seed: 29,
  },
]
