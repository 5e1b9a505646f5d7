import {
  reasons,
  type GapReason,
  type ReplayedMessage,
  type ServerMessage,
  type Subscribe,
} from '@broadcaster/protocol'
import type { ChannelLog, Cursor, Entry } from './channelLog.ts'
import type { TestServer } from './testServer.ts'

/** The longest timer there is. */
const LONGEST_MS = 2 ** 31 - 1

/** A client as the server sees it: a WebSocket connection or a long-poll session. */
export abstract class ServerClient {
  /** The version of the protocol in use. 0: a client of the base. */
  version = 0
  /** The name and the generation that the client gave itself. */
  client: string | null = null
  generation = 0
  /** The channels, each with the place up to which the client has its messages. */
  readonly channels = new Map<string, Cursor>()
  protected readonly server: TestServer
  #timer: ReturnType<typeof setTimeout> | undefined
  /** Whether a `subscribe` with a position replays messages of a channel that the client already has. */
  protected abstract readonly replaysHeld: boolean

  constructor(server: TestServer) {
    this.server = server
  }

  /** There is a new message in a channel of this client. */
  abstract arrived(log: ChannelLog, entry: Entry): void
  /** Messages of a channel of this client are missing. */
  abstract missed(log: ChannelLog, reason: GapReason): void
  /** The channel was taken away. */
  abstract taken(channel: string): void
  /** `replaced`: by a newer connection of this client. `expired`: the client has to authenticate again. */
  abstract end(why: 'replaced' | 'expired'): void

  /** Its credentials end at this time, in ms since 1970, by the timers of the test. `Infinity`: never. */
  endAt(at: number): void {
    clearTimeout(this.#timer)
    if (at === Infinity) return
    const check = () => (Date.now() < at ? this.endAt(at) : this.end('expired'))
    this.#timer = setTimeout(check, Math.min(Math.max(at - Date.now(), 0), LONGEST_MS))
    // It must not keep a process alive whose test has forgotten close(). In a page, a timer is a number.
    if (typeof this.#timer === 'object') this.#timer.unref?.()
  }

  subscribe(request: Subscribe): ServerMessage {
    const { channel, position } = request
    const refusal = this.server.refusal(this, channel)
    if (refusal !== null) return { __type: 'subscribeError', channel, reason: refusal }
    const log = this.server.log(channel)
    const isResuming = this.version > 0 && position !== undefined
    const held = this.channels.get(channel)
    const asked = this.version > 0 ? request.history : undefined
    const isHeld = held !== undefined && !((isResuming || asked !== undefined) && this.replaysHeld)
    if (!isHeld) this.channels.set(channel, log.head)
    const ok = { __type: 'subscribeOk', channel } as const
    if (this.version === 0) return ok
    const since = isResuming ? log.cursorOf(position) : null
    const head = isHeld ? (held ?? log.head) : log.head
    const answer = { ...ok, position: log.positionOf(head) }
    const missing = isResuming && !isHeld ? log.after(since) : []
    const isGap = typeof missing === 'string'
    const end = isGap ? head : (since ?? head)
    const history = asked !== undefined && { history: replay(log, log.upTo(end, asked)) }
    if (!isResuming || isHeld) return { ...answer, ...history }
    if (isGap) return { ...answer, recovered: false, reason: missing, ...history }
    const messages = missing.length > 0 && { messages: replay(log, missing) }
    return { ...answer, recovered: true, ...history, ...messages }
  }

  protected message(log: ChannelLog, { body, count }: Entry): ServerMessage {
    const message = { __type: 'message', channel: log.name, body } as const
    return this.version > 0 ? { ...message, position: log.positionOf(count) } : message
  }
}

function replay(log: ChannelLog, entries: readonly Entry[]): ReplayedMessage[] {
  return entries.map(({ count, body }) => [body, log.positionOf(count)])
}

export function channelExpected(type: 'subscribe' | 'unsubscribe'): ServerMessage {
  return { __type: `${type}Error`, channel: '', reason: reasons.channelExpected }
}
