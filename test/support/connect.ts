import { LongPollPeer } from './longPollPeer.ts'
import type { Peer } from './peer.ts'
import type { Subject, Transport } from './subject.ts'
import { WebSocketPeer } from './webSocketPeer.ts'

export type ConnectOptions = {
  readonly transport: Transport
  /** Request headers, for instance a cookie or an origin. */
  readonly headers?: Record<string, string>
}

/**
 * A raw client that has not authenticated yet. With it a test reads as a conversation:
 *
 * ```ts
 * const alice = await connect(server, { transport })
 * await alice.auth()
 * await alice.subscribe('news')
 * await server.publish('news', 'hello')
 * expect(await alice.next()).toEqual({ __type: 'message', channel: 'news', body: 'hello' })
 * ```
 */
export async function connect(subject: Subject, { transport, headers = {} }: ConnectOptions): Promise<Peer> {
  return transport === 'websocket'
    ? WebSocketPeer.connect(subject, { headers })
    : new LongPollPeer(subject, headers)
}

/** A raw client that has authenticated. */
export async function signIn(subject: Subject, options: ConnectOptions & { auth?: object }): Promise<Peer> {
  const peer = await connect(subject, options)
  const answer = await peer.auth(options.auth)
  if (answer.__type !== 'authOk') throw new Error(`Not signed in: ${JSON.stringify(answer)}`)
  return peer
}
