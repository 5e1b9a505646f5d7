import { makeConnection, type Connection } from './connection.ts'
import type { BroadcasterError } from './errors.ts'
import { makeEmitter, type Emitter } from './events.ts'
import type { Settings } from './options.ts'
import { Subscriptions } from './subscriptions.ts'
import { Feed } from './tabFeed.ts'
import { readMark, toFailure } from './tabMessages.ts'
import type { FromLeader, FromTab, Mark } from './tabMessages.ts'
import { lockOf } from './tabPresence.ts'

// Not `Omit`, which would merge the types of a union.
type WithoutTerm<Message> = Message extends unknown ? Omit<Message, 'term'> : never

export interface LeaderSetup {
  /** The channel and the locks of the tabs. */
  readonly name: string
  readonly term: number
  /** For the connection to the server. */
  readonly settings: Settings
  /** Gets the `error` events of the connection. */
  readonly emitter: Emitter
  /** The client does not reconnect any more. The leader has told the other tabs. */
  onEnd(error: BroadcasterError): void
}

/**
 * Has the connection to the server, and passes its messages to all tabs. It uses its own object for the channel of the tabs, so the
 * tab that it runs in is a tab like any other.
 */
export class TabLeader {
  readonly term: number
  readonly subscriptions: Subscriptions
  readonly #setup: LeaderSetup
  readonly #tabs: BroadcastChannel
  readonly #connection: Connection
  readonly #feeds = new Map<string, Feed>()
  /** What tabs have said in `hello`, for the channels that they have not subscribed to yet. */
  readonly #marks = new Map<string, Map<string, Mark>>()
  readonly #over = new AbortController()
  #connections = 0
  #state: WithoutTerm<FromLeader> = { type: 'connecting' }

  constructor(setup: LeaderSetup) {
    this.#setup = setup
    this.term = setup.term
    const emitter = makeEmitter()
    this.subscriptions = new Subscriptions(emitter, setup.settings)
    this.#connection = makeConnection(setup.settings, this.subscriptions)
    this.#tabs = new BroadcastChannel(setup.name)
    this.#tabs.onmessage = ({ data }: MessageEvent<FromTab | FromLeader>) => {
      if ('from' in data) this.#receive(data)
    }
    emitter.on('error', (error) => setup.emitter.emit(['error', error]))
    emitter.on('wire', (message) => {
      if (message.__type === 'subscribeOk') this.#feeds.get(message.channel)?.receive(message)
    })
    emitter.on('status', ({ to, transport, error, attempt = 0, retryInMs = 0 }) => {
      if (to === 'connected') {
        this.#state = { type: 'connected', connection: ++this.#connections, transport: transport! }
      } else if (to === 'reconnecting' && error) {
        this.#state = { type: 'trouble', failure: toFailure(error), attempt, retryInMs }
      } else if (to === 'disconnected' && error) {
        // Other tabs may have other credentials. Each one learns about its own.
        if (error.code !== 'unauthorized') this.#post({ type: 'end', failure: toFailure(error) })
        return setup.onEnd(error)
      } else return
      this.#post(this.#state)
    })
    this.#post(this.#state)
    // A failure is reported by the status.
    this.#connection.connect().catch(() => {})
  }

  /** Ends the connection. Resolves when it is closed. */
  async close(): Promise<void> {
    this.#over.abort()
    this.#tabs.close()
    await this.#connection.disconnect()
  }

  post(message: Extract<FromLeader, { type: 'message' }>['message'], to?: string): void {
    this.#post({ type: 'message', message, ...(to !== undefined && { to }) })
  }

  marksOf(channel: string): Mark[] {
    return [...this.#marks.values()].flatMap((marks) => marks.get(channel) ?? [])
  }

  #post(message: WithoutTerm<FromLeader>): void {
    if (!this.#over.signal.aborted) this.#tabs.postMessage({ ...message, term: this.term })
  }

  #receive(message: FromTab): void {
    const { from } = message
    if (message.type === 'bye') return this.#remove(from)
    if (message.type === 'request') {
      if (message.term === this.term) this.#execute(from, message.request)
      return
    }
    this.#watch(from)
    const marks = Object.entries(message.marks).map(([channel, mark]) => [channel, readMark(mark)] as const)
    this.#marks.set(from, new Map(marks))
    if (message.isAwake) this.#connection.wake()
    this.#post(this.#state)
  }

  #execute(tab: string, request: Extract<FromTab, { type: 'request' }>['request']): void {
    const { channel } = request
    this.#marks.get(tab)?.delete(channel)
    if (request.__type === 'subscribe') {
      const feed = this.#feeds.get(channel) ?? new Feed(channel, this)
      this.#feeds.set(channel, feed)
      feed.add(tab, request)
    } else {
      this.#removeFrom(channel, tab)
      this.post({ __type: 'unsubscribeOk', channel }, tab)
    }
  }

  /** Each tab holds a lock of its own. The browser releases it when the tab is gone, however that came about. */
  #watch(tab: string): void {
    if (this.#marks.has(tab)) return
    const { signal } = this.#over
    navigator.locks
      .request(lockOf(this.#setup.name, tab), { signal }, () => this.#remove(tab))
      // This leader is over.
      .catch(() => {})
  }

  #remove(tab: string): void {
    this.#marks.delete(tab)
    for (const channel of this.#feeds.keys()) this.#removeFrom(channel, tab)
  }

  #removeFrom(channel: string, tab: string): void {
    const feed = this.#feeds.get(channel)
    feed?.remove(tab)
    if (!feed?.isEmpty) return
    feed.end()
    this.#feeds.delete(channel)
  }
}
