import type { Mutation } from './mutation.ts'

export const credentials: readonly Mutation[] = [
  {
    name: 'a WebSocket stays open when its credentials have ended',
    file: 'server/src/websocket/connection.ts',
    find: 'this.#host.endings.add(this, answer.endsAt)',
    replace: '',
    seed: 7,
  },
  {
    name: 'a session goes on when its credentials have ended',
    file: 'server/src/longpoll/sessionEnds.ts',
    find: 'return endsAt <= Date.now()',
    replace: 'return endsAt <= 0',
    seed: -37,
  },
  {
    name: 'the end of the credentials is not stored with the session',
    file: 'server/src/longpoll/longpoll.ts',
    find: '...(access.endsAt !== Infinity && { endsAt: access.endsAt }),',
    replace: '',
    seed: -37,
  },
  {
    name: 'the client takes the end of its credentials for a refusal',
    file: 'client/src/websocket.ts',
    find: "code === REAUTHORIZE ? 'reauthorize'",
    replace: "code === REAUTHORIZE ? 'unauthorized'",
    seed: 7,
  },
  {
    name: 'a client that is asked for credentials forgets its positions',
    file: 'client/src/channel.ts',
    find: 'const isResumed = link.hasAdditions && position !== undefined',
    replace:
      "const isResumed = link.hasAdditions && position !== undefined && this.listeners.status !== 'subscribed'",
    seed: -3,
  },
  {
    name: 'a client on a WebSocket is not asked for new credentials',
    file: 'server/src/node/removals.ts',
    find: '    this.#setup.connections.reauthorize(revocation.match)\n',
    replace: '',
    seed: -3,
  },
  {
    name: 'a client that polls is not asked for new credentials',
    file: 'server/src/node/removals.ts',
    find: "    await this.#publish({ type: 'reauthorize', match })\n    await this.#setup.longPoll.endSessions(match)\n",
    replace: "    await this.#publish({ type: 'reauthorize', match })\n",
    seed: 29,
  },
  {
    name: 'a node that was away does not apply what was revoked meanwhile',
    file: 'server/src/clients/missedRevocations.ts',
    find: '      apply(message)\n',
    replace: '',
    seed: 1372,
  },
]
