import { authData, PROTOCOL_VERSION } from '@broadcaster/protocol'
import type { Auth } from '@broadcaster/protocol'
import { backoffMs, restartMs } from './backoff.ts'
import { deferred } from './deferred.ts'
import type { Deferred } from './deferred.ts'
import { BroadcasterError } from './errors.ts'
import type { Emitter } from './events.ts'
import { openLongPoll } from './longpoll.ts'
import { fetchOf, isObject, webSocketOf } from './options.ts'
import type { Settings } from './options.ts'
import type { Subscriptions } from './subscriptions.ts'
import type { Transport, TransportEnd, Trouble } from './transport.ts'
import type { Snapshot, Status, TransportName } from './types.ts'
import { listenForWakeUps } from './wakeup.ts'
import { openWebSocket } from './websocket.ts'

/** How long `auto` gives a WebSocket to open, and then to say something, before it takes long-poll. */
export const FALLBACK_MS = 4_000
/** While on long-poll, WebSocket is tried again after this, then after twice as long, ... */
export const PROBE_FIRST_MS = 30_000
export const PROBE_CAP_MS = 300_000
const PROBE_GRACE_MS = 1_000
/** A connection that ends sooner has not proved that the server is well: the backoff goes on growing. */
export const STABLE_MS = 5_000

/** Not tried again, and of no use to anybody. */
const NOTHING = { error: null, attempt: 0, retryAt: null }

/** Resolves when it is closed. */
type Cancel = () => Promise<void>
type Timer = ReturnType<typeof setTimeout> | undefined

/**
 * The state of the connection, and everything that changes it: attempts, the choice of the transport, and coming back.
 */
export class Connection {
  snapshot: Snapshot = { status: 'idle', transport: null, ...NOTHING }

  readonly #settings: Settings
  readonly #emitter: Emitter
  readonly #subscriptions: Subscriptions
  /** Authenticated, and in use. */
  #transport: Transport | null = null
  /** Cancels what is being opened to become the transport. */
  #cancelAttempt: Cancel | null = null
  /** Cancels the WebSocket that is being opened to replace a long-poll that works. */
  #cancelProbe: Cancel | null = null
  #retryTimer: Timer
  #probeTimer: Timer
  #probeMs = PROBE_FIRST_MS
  /** Failures in a row, without those that a short-lived success came between. */
  #backoff = 0
  #connectedAt = 0
  #prefersLongPoll = false
  #clientName = ''
  #generation = 0
  /** Of the last long-poll session. */
  #token: string | undefined
  /** Behind `connect()`. */
  #connected: Deferred | null = null
  #closing: Promise<void> = Promise.resolve()
  #stopListening = () => {}

  constructor(settings: Settings, emitter: Emitter, subscriptions: Subscriptions) {
    this.#settings = settings
    this.#emitter = emitter
    this.#subscriptions = subscriptions
  }

  connect(): Promise<void> {
    const { status } = this.snapshot
    if (status === 'connected') return Promise.resolve()
    const { promise } = (this.#connected ??= deferred())
    if (status === 'reconnecting') {
      this.#wake()
    } else if (status !== 'connecting') {
      this.#backoff = 0
      this.#stopListening = listenForWakeUps((isOnline) => this.#wake(isOnline))
      this.#attempt()
      this.#subscriptions.revive()
      this.#set('connecting', 'connect() was called', NOTHING)
    }
    return promise
  }

  disconnect(): Promise<void> {
    if (this.snapshot.status !== 'disconnected') this.#finish('disconnect() was called', null)
    return this.#closing
  }

  /** The one place that changes the state. Listeners may call anything, so callers are done with theirs before. */
  #set(
    to: Status,
    reason: string,
    { error, attempt, retryAt }: Omit<Snapshot, 'status' | 'transport'>,
  ): void {
    const from = this.snapshot.status
    const transport = to === 'connected' && this.#transport ? this.#transport.name : null
    this.snapshot = { status: to, transport, error, attempt, retryAt }
    const connected = this.#connected
    if (to === 'connected' || to === 'disconnected') this.#connected = null
    if (to === 'connected') connected?.resolve()
    if (to === 'disconnected') connected?.reject(error ?? new BroadcasterError('aborted', reason))
    this.#emitter.emit('status', {
      from,
      to,
      reason,
      transport,
      ...(error && { error }),
      ...(attempt > 0 && { attempt }),
      ...(retryAt !== null && { retryInMs: retryAt - Date.now() }),
    })
  }

  #attempt(): void {
    this.#stopTimers()
    void this.#cancelProbe?.()
    this.#cancelProbe = null
    this.#tryInTurn(this.#transportsToTry())
    const { status, error, attempt } = this.snapshot
    if (status === 'reconnecting') this.#set(status, 'Trying again', { error, attempt, retryAt: null })
  }

  #transportsToTry(): TransportName[] {
    const { mode } = this.#settings
    if (mode !== 'auto') return [mode]
    if (!webSocketOf(this.#settings) || this.#prefersLongPoll) return ['longpoll']
    return fetchOf(this.#settings) ? ['websocket', 'longpoll'] : ['websocket']
  }

  #tryInTurn([name, ...others]: TransportName[]): void {
    const { timeoutMs } = this.#settings
    const limitMs = others.length > 0 ? Math.min(timeoutMs, FALLBACK_MS) : timeoutMs
    this.#cancelAttempt = this.#open(name!, limitMs, (end) => {
      this.#cancelAttempt = null
      // Other credentials are what a refusal asks for, not another transport.
      const isOfTransport = end.retry !== 'never' && end.error.code !== 'authFunction'
      if (isOfTransport && others.length > 0) return this.#tryInTurn(others)
      this.#prefersLongPoll = false
      this.#lost(end)
    })
  }

  /** Opens a transport and hands it to `#use`; returns the function that cancels it. */
  #open(name: TransportName, limitMs: number, onFail: (end: TransportEnd) => void): Cancel {
    let isCancelled = false
    let isInUse = false
    let transport: Transport | undefined
    const start = async () => {
      const data = await this.#credentials()
      if (isCancelled) return
      const auth = this.#makeAuth(data)
      const open = name === 'websocket' ? openWebSocket : openLongPoll
      transport = open(
        { settings: this.#settings, auth, limitMs },
        {
          onOpen: (opened, hasAdditions) => {
            isInUse = true
            this.#use(opened, hasAdditions)
          },
          onMessage: (message) => this.#subscriptions.receive(message),
          onTrouble: (trouble) => this.#troubled(trouble),
          onEnd: (end) => (isInUse ? this.#lost(end) : onFail(end)),
          positions: () => this.#subscriptions.positions(),
        },
      )
    }
    start().catch((thrown: unknown) => {
      if (isCancelled) return
      const error = BroadcasterError.from(thrown, 'connection')
      if (error.code === 'authFunction') this.#emitter.emit('error', error)
      onFail({ error, retry: error.code === 'options' ? 'never' : 'backoff' })
    })
    return async () => {
      isCancelled = true
      await transport?.close()
    }
  }

  async #credentials(): Promise<object> {
    const { auth, timeoutMs } = this.#settings
    if (typeof auth !== 'function') return auth
    let timer: Timer
    try {
      const isLate = new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs)
      })
      const data: unknown = await Promise.race([auth(), isLate])
      if (!isObject(data)) throw new TypeError('expected an object')
      return data
    } catch (thrown) {
      const { message } = BroadcasterError.from(thrown)
      throw new BroadcasterError('authFunction', `The auth function failed: ${message}`, thrown)
    } finally {
      clearTimeout(timer)
    }
  }

  #makeAuth(data: object): Auth {
    this.#clientName ||= randomName()
    return {
      ...authData({ ...data }),
      __type: 'auth',
      __v: PROTOCOL_VERSION,
      __client: this.#clientName,
      __generation: ++this.#generation,
      ...(this.#token !== undefined && { __previous: this.#token }),
    }
  }

  /** A transport is authenticated: it takes the place of the one there was, if any. */
  #use(transport: Transport, hasAdditions: boolean): void {
    const previous = this.#transport
    void previous?.close()
    this.#stopTimers()
    this.#cancelAttempt = null
    this.#cancelProbe = null
    this.#transport = transport
    this.#token = transport.token
    this.#prefersLongPoll = transport.name === 'longpoll'
    this.#connectedAt = Date.now()
    this.#subscriptions.attach((request) => transport.send(request), hasAdditions)
    if (this.#transport !== transport) return
    if (this.#prefersLongPoll) this.#probeLater(PROBE_FIRST_MS)
    this.#set(
      'connected',
      previous ? `Moved to ${transport.name}` : `Authenticated by ${transport.name}`,
      NOTHING,
    )
  }

  /** The transport works on at it by itself. */
  #troubled(trouble: Trouble | null): void {
    if (!trouble) {
      if (this.snapshot.status !== 'connected') this.#set('connected', 'The poll works again', NOTHING)
      return
    }
    const { error, failures, retryInMs } = trouble
    if (failures > this.#settings.maxAttempts) return this.#giveUp(error)
    // One lost answer is nothing that anybody need know of.
    if (failures < 2) return
    this.#set('reconnecting', error.message, { error, attempt: failures, retryAt: Date.now() + retryInMs })
  }

  /** The connection ended, or an attempt failed. */
  #lost({ error, retry }: TransportEnd): void {
    const wasConnected = this.#transport !== null
    this.#transport = null
    this.#stopTimers()
    if (retry === 'never') return this.#finish(error.message, error)
    if (wasConnected && Date.now() - this.#connectedAt >= STABLE_MS) this.#backoff = 0
    let { attempt } = this.snapshot
    if (retry === 'backoff') {
      attempt++
      this.#backoff++
    }
    if (attempt > this.#settings.maxAttempts) return this.#giveUp(error)
    let retryInMs = retry === 'soon' ? restartMs() : backoffMs(this.#backoff)
    // A server that knows of the WebSocket ends the long-poll; its word to the WebSocket itself is on its way.
    if (this.#cancelProbe) retryInMs += PROBE_GRACE_MS
    this.#retryTimer = setTimeout(() => this.#attempt(), retryInMs)
    this.#set('reconnecting', error.message, { error, attempt, retryAt: Date.now() + retryInMs })
    this.#subscriptions.detach()
  }

  #giveUp(cause: BroadcasterError): void {
    const { maxAttempts } = this.#settings
    const message = `Gave up after ${maxAttempts} attempts to reconnect: ${cause.message}`
    this.#finish(message, new BroadcasterError('maxAttempts', message, cause))
  }

  /** Ends everything; only `connect()` begins again. */
  #finish(reason: string, error: BroadcasterError | null): void {
    this.#stopListening()
    this.#stopListening = () => {}
    this.#stopTimers()
    const closing = [this.#transport?.close(), this.#cancelAttempt?.(), this.#cancelProbe?.()]
    this.#closing = Promise.all(closing).then(() => {})
    this.#cancelAttempt = null
    this.#cancelProbe = null
    this.#transport = null
    this.#set('disconnected', reason, { ...NOTHING, error })
    // A listener may have called connect() already.
    this.#subscriptions.detach(this.snapshot.error)
    this.#emitter.emit('disconnected', { reason, error })
  }

  #wake(isOnline = false): void {
    if (this.#retryTimer !== undefined) this.#attempt()
    else this.#transport?.check()
    if (isOnline && this.#probeTimer !== undefined) this.#probe()
  }

  #probeLater(inMs: number): void {
    if (this.#settings.mode !== 'auto' || !webSocketOf(this.#settings)) return
    this.#probeMs = Math.min(inMs, PROBE_CAP_MS)
    this.#probeTimer = setTimeout(() => this.#probe(), this.#probeMs)
  }

  #probe(): void {
    this.#stopTimers()
    this.#cancelProbe = this.#open('websocket', this.#settings.timeoutMs, ({ retry }) => {
      this.#cancelProbe = null
      // The session that there is was accepted: a refusal leaves it alone.
      if (this.#transport && retry !== 'never') this.#probeLater(this.#probeMs * 2)
    })
  }

  #stopTimers(): void {
    clearTimeout(this.#retryTimer)
    clearTimeout(this.#probeTimer)
    this.#retryTimer = this.#probeTimer = undefined
  }
}

/** By which servers know that a newer connection follows an older one. */
function randomName(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) =>
    byte.toString(16).padStart(2, '0'),
  ).join('')
}
