import {
  BroadcasterClient,
  type ChannelName,
  type FetchLike,
  type GapReason,
  type WebSocketConstructor,
} from '@broadcaster/client'
import type { ClientMessage } from '@broadcaster/protocol'
import { fetchTo } from './network/fetch.ts'
import { Network, type Deliver } from './network/network.ts'
import { webSocketTo } from './network/webSocket.ts'
import { readOptions, type TestBroadcasterOptions } from './options.ts'
import { TestServer } from './server/testServer.ts'

/**
 * A server in memory, and a client of it. Each method that returns a promise does its work after those called before, and
 * resolves when the clients have handled it, and React has rendered it. Await it. Where something is delayed, it does not wait.
 */
export interface TestBroadcaster {
  /** A real client, connected to the server in memory. */
  readonly client: BroadcasterClient
  /** A URL for other clients: `new BroadcasterClient(url, { WebSocket, fetch })`. */
  readonly url: string
  /** The `WebSocket` option of other clients. */
  readonly WebSocket: WebSocketConstructor
  /** The `fetch` option of other clients. */
  readonly fetch: FetchLike
  /**
   * Publishes like `publish()` of the server: a body that is not a string becomes JSON. Waits first until subscriptions that
   * are under way are confirmed, so that it may be called right after rendering.
   */
  publish(channel: ChannelName, body: unknown): Promise<void>
  /** Publishes the newest message of the channel again, like a publisher that retries. The client gets it twice. */
  duplicate(channel: ChannelName): Promise<void>
  /** Refuses the channel from now on, also to clients that have it. */
  refuse(channel: ChannelName): Promise<void>
  /** Ends `refuse`. A client asks again with its next connection. */
  allow(channel: ChannelName): Promise<void>
  /** Drops the network: connections and sessions end, and no attempt to connect succeeds. */
  drop(): Promise<void>
  /** Ends `drop`. `client` reconnects at once. Other clients reconnect after their backoff, by the timers of the test. */
  restore(): Promise<void>
  /** A message is lost for all clients, also for those that come back. They are told of a gap with this reason. */
  gap(channel: ChannelName, reason?: GapReason): Promise<void>
  /**
   * The credentials of all clients end, as at the `expiresAt` of the server's `accept()`. `client` authenticates again at once, with
   * fresh credentials, and its channels stay subscribed.
   */
  expire(): Promise<void>
  /** Everything from the server takes this many ms from now on, by the timers of the test. 0: no time, and what is delayed arrives. */
  delay(ms: number): void
  /** Messages that are delayed arrive with their channels in reverse order. The order within a channel is guaranteed. */
  reorder(): void
  /** Resolves when no client and no request is busy. */
  settled(): Promise<void>
  /** The number of clients that have each channel. */
  subscriptions(): Record<string, number>
  /** The messages that all clients have sent, or those of one type. */
  sent(): ClientMessage[]
  sent<Type extends ClientMessage['__type']>(type: Type): Extract<ClientMessage, { __type: Type }>[]
  /** Disconnects the client and ends the server. A second call does nothing. */
  close(): Promise<void>
}

/** How changes reach the page. React needs that they happen in its `act()`. */
export interface Acting {
  /** Runs a task of the test. */
  during(task: () => Promise<void>): Promise<void>
  readonly deliver: Deliver
}

/** The longest timer there is. */
const NEVER_MS = 2 ** 31 - 1
const REASONS: readonly string[] = ['expired', 'overflow', 'broker', 'node'] satisfies GapReason[]

let count = 0
/** The task before. Tasks of all broadcasters run one after the other, because calls of `act()` must not overlap. */
let before: Promise<unknown> = Promise.resolve()

export function makeTestBroadcaster(options: TestBroadcasterOptions, acting: Acting): TestBroadcaster {
  const { client: clientOptions, canConnect, limits } = readOptions(options)
  const server = new TestServer(canConnect, limits)
  const network = new Network(acting.deliver)
  // Clients store in the page that a URL has no WebSockets. Another test must not find that.
  const url = `http://broadcaster-${++count}.test/broadcast`
  const [WebSocket, fetch] = [webSocketTo(server, network), fetchTo(server, network)]
  const client = new BroadcasterClient(url, { pingInterval: NEVER_MS, ...clientOptions, WebSocket, fetch })
  let closing: Promise<void> | undefined

  const inTurn = (task: () => Promise<void> | void): Promise<void> => {
    const run = async () => {
      await network.quiet()
      await task()
      await network.quiet()
    }
    const result = before.then(() => acting.during(run))
    before = result.catch(() => {})
    return result
  }
  const change = (method: string, task: () => Promise<void> | void): Promise<void> =>
    closing ? Promise.reject(new Error(`${method}(): the test broadcaster was closed`)) : inTurn(task)
  /** Like a page whose network is back. */
  const wake = async () => {
    await network.quiet()
    if (client.status === 'reconnecting') void client.connect()
  }

  return {
    client,
    url,
    WebSocket,
    fetch,
    publish: (channel, body) => change('publish', () => server.publish(channel, body)),
    duplicate: (channel) =>
      change('duplicate', () => {
        const newest = server.log(channel).newest
        if (!newest) throw new Error(`duplicate(): nothing was published to '${channel}'`)
        server.publish(channel, newest.body)
      }),
    refuse: (channel) => change('refuse', () => server.refuse(channel)),
    allow: (channel) => change('allow', () => server.allow(channel)),
    drop: () =>
      change('drop', () => {
        network.drop()
        server.endSessions()
      }),
    restore: () =>
      change('restore', () => {
        network.restore()
        return wake()
      }),
    gap: (channel, reason = 'expired') =>
      change('gap', () => {
        if (!REASONS.includes(reason))
          throw new TypeError(`gap(): ${reason} is none of ${REASONS.join(', ')}`)
        server.gap(channel, reason)
      }),
    expire: () =>
      change('expire', () => {
        server.expire()
        return wake()
      }),
    delay: (ms) => {
      if (!(ms >= 0 && ms <= NEVER_MS)) throw new TypeError(`delay(): expected ms from 0, got ${ms}`)
      network.delay(ms)
    },
    reorder: () => network.reorder(),
    settled: () => change('settled', () => {}),
    subscriptions: () => server.subscriptions(),
    sent: (type?: string) =>
      network.sent.filter(({ __type }) => type === undefined || __type === type) as never,
    close: () =>
      (closing ??= inTurn(async () => {
        network.delay(0)
        await client.disconnect()
        network.drop()
        server.endSessions()
      })),
  }
}
