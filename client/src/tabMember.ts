import type { ServerMessage, Subscribe, Unsubscribe } from '@broadcaster/protocol'
import { isDevelopment } from './development.ts'
import { randomName } from './dialer.ts'
import { BroadcasterError } from './errors.ts'
import { TabLeader } from './tabLeader.ts'
import { readMark, toError } from './tabMessages.ts'
import type { FromLeader, FromTab } from './tabMessages.ts'
import { TabPresence } from './tabPresence.ts'
import type { Transport, TransportHandlers } from './transport.ts'
import type { AuthData, TransportName } from './types.ts'
import type { Settings } from './options.ts'

export interface MemberSetup {
  /** Those of the user, for the connection to the server. */
  readonly settings: Settings
  /** The credentials that this attempt was made with. */
  readonly data: AuthData
  readonly handlers: TransportHandlers
  /** Who shares a connection. `undefined`: this tab shares it with no other. */
  keyOf(data: AuthData): string | undefined
  /** The name of the channel and of the lock of those with this key. */
  groupOf(key: string | undefined): Promise<string>
  /** The platform has no locks for this page after all. */
  onUnavailable(): void
}

/** A channel that this tab has asked for. */
interface TabChannel {
  /** The answer to `subscribe` has arrived. Until then, all messages are from before it. */
  isOn: boolean
  /** How far this tab is. */
  mark: string | undefined
}

/** The connection of one tab. It talks to the leader as others talk to the server, and is the leader when it is its turn. */
export class TabMember {
  /** What the client has as its transport. There is a new one for each connection of a leader. */
  transport: Transport
  readonly #setup: MemberSetup
  readonly #name = randomName()
  readonly #channels = new Map<string, TabChannel>()
  #key: string | undefined
  /** The leader uses the credentials of the attempt once, if this tab is the leader at once. */
  #data: AuthData | undefined
  #isOver = false
  #presence: TabPresence | undefined
  #leader: TabLeader | undefined
  /** Those of the leader that this tab follows. */
  #term = 0
  #connection = 0

  constructor(setup: MemberSetup) {
    this.#setup = setup
    this.#data = setup.data
    this.transport = this.#makeTransport('websocket')
    this.#start().catch((thrown: unknown) => this.#end(BroadcasterError.from(thrown, 'options')))
  }

  async #start(): Promise<void> {
    // No handler is called before the constructor returns.
    await Promise.resolve()
    const { keyOf, groupOf, data } = this.#setup
    this.#key = keyOf(data)
    const group = await groupOf(this.#key)
    if (this.#isOver) return
    this.#presence = new TabPresence(group, this.#name, {
      receive: (message) => this.#receive(message),
      hello: () => this.#hello(),
      lead: () => this.#lead(group),
      endLead: () => this.#endLead(),
      away: () => (this.#connection = 0),
      unavailable: (error) => {
        this.#setup.onUnavailable()
        this.#end(BroadcasterError.from(error, 'connection'))
      },
    })
  }

  #makeTransport(name: TransportName): Transport {
    const transport: Transport = {
      name,
      // A leader numbers the messages, also if the server has no positions.
      hasAdditions: true,
      send: (request) => {
        if (this.transport === transport) this.#send(request)
      },
      check: () => this.#hello(true),
      // The client closes the transport of the previous connection when it gets the next one.
      close: async () => {
        if (this.transport === transport) await this.#stop()
      },
    }
    return transport
  }

  #post(message: FromTab): void {
    this.#presence?.post(message)
  }

  #hello(isAwake = false): void {
    const marks = [...this.#channels].flatMap(([channel, { mark }]) =>
      mark === undefined ? [] : [[channel, mark] as const],
    )
    this.#post({ type: 'hello', from: this.#name, marks: Object.fromEntries(marks), isAwake })
  }

  #send(request: Subscribe | Unsubscribe): void {
    const { channel } = request
    if (request.__type === 'unsubscribe') this.#channels.delete(channel)
    else this.#channels.set(channel, { isOn: false, mark: request.position })
    this.#post({ type: 'request', from: this.#name, term: this.#term, request })
  }

  #receive(message: FromLeader): void {
    // A leader that was frozen does not know yet that it was replaced.
    if (message.term < this.#term) return
    if (message.term > this.#term) {
      this.#term = message.term
      this.#connection = 0
      if (this.#leader && this.#leader.term < message.term) this.#endLead()
      for (const channel of this.#channels.values()) channel.isOn = false
      this.#hello()
    }
    if (!this.#leader) this.#data = undefined
    const { onTrouble, onRecovery } = this.#setup.handlers
    switch (message.type) {
      case 'connected':
        if (message.connection === this.#connection) return onRecovery()
        this.#connection = message.connection
        return this.#open(message.transport)
      case 'trouble':
        return onTrouble(toError(message.failure), message.attempt, message.retryInMs)
      case 'message':
        if (message.to === undefined || message.to === this.#name) this.#take(message.message)
        return
      case 'end':
        this.#end(toError(message.failure))
    }
  }

  #open(name: TransportName): void {
    // The client subscribes each of its channels again.
    this.#channels.clear()
    this.transport = this.#makeTransport(name)
    this.#setup.handlers.onOpen(this.transport, { __type: 'authOk' })
  }

  #take(message: ServerMessage): void {
    const name = (message as { channel?: string }).channel!
    const channel = this.#channels.get(name)
    if (!channel && message.__type !== 'unsubscribeOk') return
    if (channel) {
      switch (message.__type) {
        case 'message':
          if (!channel.isOn || !isAfter(message.position!, channel.mark!)) return
          channel.mark = message.position
          break
        case 'gap':
          if (!channel.isOn) return
          channel.mark = message.position
          break
        case 'subscribeOk':
          if (channel.isOn) return
          channel.isOn = true
          channel.mark = message.position
          break
        case 'subscribeError':
        case 'unsubscribed':
          this.#channels.delete(name)
      }
    }
    this.#setup.handlers.receiver.receive(message)
  }

  #lead(name: string): void {
    const { settings, handlers, keyOf } = this.#setup
    const auth = async () => {
      const data =
        this.#data ?? (await (typeof settings.auth === 'function' ? settings.auth() : settings.auth))
      this.#data = undefined
      // Another user has signed in. The other tabs must not see what this user sees.
      if (keyOf(data) !== this.#key) {
        this.#end(new BroadcasterError('connection', isDevelopment && 'The user has changed'))
      }
      return data
    }
    this.#leader = new TabLeader({
      name,
      // Two tabs may steal the lock in the same millisecond.
      term: Math.max(Date.now(), this.#term + 1) + Math.random(),
      // The client of each tab counts the attempts and parses the bodies itself.
      settings: { ...settings, auth, maxAttempts: Infinity, channelMap: undefined },
      emitter: handlers.receiver.emitter,
      onEnd: (error) => this.#end(error),
    })
  }

  #endLead(): Promise<void> | undefined {
    const leader = this.#leader
    this.#leader = undefined
    return leader?.close()
  }

  /** Resolves when the connection to the server is closed, if this tab had it. */
  async #stop(): Promise<void> {
    if (this.#isOver) return
    this.#isOver = true
    await this.#presence?.stop()
  }

  #end(error: BroadcasterError): void {
    if (this.#isOver) return
    void this.#stop()
    this.#setup.handlers.onEnd(error)
  }
}

function isAfter(one: string, other: string): boolean {
  const [{ era, number }, reached] = [readMark(one), readMark(other)]
  return era === reached.era && number > reached.number
}
