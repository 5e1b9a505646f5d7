import { deferred, type Deferred } from '@broadcaster/protocol'
import { backoffMs, restartMs } from './backoff.ts'
import { isFinal } from './closes.ts'
import { Dialer } from './dialer.ts'
import type { Cancel, DialHandlers } from './dialer.ts'
import { isDevelopment } from './development.ts'
import { BroadcasterError } from './errors.ts'
import type { Emitter } from './events.ts'
import type { Settings } from './options.ts'
import type { Subscriptions } from './subscriptions.ts'
import type { Transport, TransportHandlers } from './transport.ts'
import { TransportChoice } from './transportChoice.ts'
import type { Snapshot, Status, TransportName } from './types.ts'
import { listenForWakeUps } from './wakeup.ts'

/** How long `auto` waits for a WebSocket to open, and then for its first frame, before it falls back to long-poll. */
export const FALLBACK_MS = 4_000
const PROBE_GRACE_MS = 1_000
/** A connection that ends sooner does not prove that the server works. The backoff is not reset. */
export const STABLE_MS = 5_000
/** A client that is asked for credentials again within this time uses the backoff: the clock of the server may be wrong. */
export const RENEWAL_MS = 1_000

/** The rest of a snapshot when no attempt waits and there is no error. */
const NOTHING = { error: null, attempt: 0, retryAt: null }

/**
 * The state of the connection, and everything that changes it.
 *
 * Listeners and handlers of the application may call `connect()` and `disconnect()` at any time. So each method here
 * changes its state first and calls listeners last. Or it checks afterwards whether its state is still the newest.
 */
export class Connection {
  snapshot: Snapshot = { status: 'idle', transport: null, ...NOTHING }
  readonly #settings: Settings
  readonly #emitter: Emitter
  readonly #subscriptions: Subscriptions
  readonly #dialer: Dialer
  readonly #choice: TransportChoice
  /** The authenticated transport in use. */
  #transport: Transport | null = null
  #cancelAttempt: Cancel | null = null
  #retryTimer: ReturnType<typeof setTimeout> | undefined
  /** Failures in a row. A connection that was shorter than `STABLE_MS` does not reset it. */
  #backoffLevel = 0
  #connectedAt = 0
  /** When this client last sent credentials again because it was asked to. */
  #renewedAt = 0
  /** The promise of `connect()`. */
  #whenConnected: Deferred | null = null
  #closing: Promise<void> = Promise.resolve()
  #stopListening = () => {}

  constructor(settings: Settings, emitter: Emitter, subscriptions: Subscriptions) {
    this.#settings = settings
    this.#emitter = emitter
    this.#subscriptions = subscriptions
    this.#dialer = new Dialer(settings, emitter)
    this.#choice = new TransportChoice(settings, (onFail) =>
      this.#dial('websocket', settings.timeoutMs, onFail),
    )
  }

  connect(): Promise<void> {
    const { status } = this.snapshot
    if (status === 'connected') return Promise.resolve()
    const { promise } = (this.#whenConnected ??= deferred())
    if (status === 'reconnecting') {
      this.wake()
    } else if (status !== 'connecting') {
      this.#backoffLevel = 0
      this.#stopListening = listenForWakeUps((isOnline) => this.wake(isOnline))
      this.#tryInTurn(this.#choice.list())
      this.#set('connecting', NOTHING, isDevelopment && 'connect() was called')
      // A listener may have called disconnect().
      if (this.snapshot.status === 'connecting') this.#subscriptions.revive()
    }
    return promise
  }

  disconnect(): Promise<void> {
    if (this.snapshot.status !== 'disconnected') this.#finish(null)
    return this.#closing
  }

  /** See {@link Inspection}. */
  readonly drop = (reason: string): void => {
    const cancel = this.#cancelAttempt
    this.#cancelAttempt = null
    void cancel?.()
    void this.#transport?.close()
    this.#choice.allFailed()
    if (this.#transport || cancel) this.#lost(new BroadcasterError('connection', reason))
  }

  /** The only place that changes the state. @param sentence the reason, if it is not the error. */
  #set(
    to: Status,
    { error, attempt, retryAt }: Omit<Snapshot, 'status' | 'transport'>,
    sentence?: string | false,
  ): void {
    const from = this.snapshot.status
    const reason = sentence || error?.message || to
    const transport = (to === 'connected' && this.#transport?.name) || null
    this.snapshot = { status: to, transport, error, attempt, retryAt }
    if (to === 'connected' || to === 'disconnected') {
      const waiting = this.#whenConnected
      this.#whenConnected = null
      if (to === 'connected') waiting?.resolve()
      else waiting?.reject(error ?? new BroadcasterError('aborted', reason))
    }
    const change = {
      from,
      to,
      reason,
      transport,
      ...(error && { error }),
      ...(attempt > 0 && { attempt }),
      ...(retryAt !== null && { retryInMs: Math.max(0, retryAt - Date.now()) }),
    }
    this.#emitter.emitAll(
      ['status', [change]],
      ...(to === 'disconnected' ? [['disconnected', [{ reason, error }]] as const] : []),
    )
  }

  #tryNow(): void {
    this.#stopTimers()
    void this.#choice.stop()
    this.#tryInTurn(this.#choice.list())
    const { error, attempt } = this.snapshot
    this.#set('reconnecting', { error, attempt, retryAt: null }, isDevelopment && 'Trying again')
  }

  #tryInTurn([name, ...others]: TransportName[]): void {
    const { timeoutMs } = this.#settings
    const limitMs = others.length > 0 ? Math.min(timeoutMs, FALLBACK_MS) : timeoutMs
    this.#cancelAttempt = this.#dial(name!, limitMs, (error, isRestart, why) => {
      this.#cancelAttempt = null
      // A refusal of the credentials, or a request to wait from an overloaded server, says nothing about the transport.
      const isOfTransport =
        !isFinal(error) && error.code !== 'authFunction' && error.retryAfterMs === undefined
      if (isOfTransport && others.length > 0) {
        this.#choice.webSocketFailed(error)
        this.#dialer.fallback = why ?? 'error'
        return this.#tryInTurn(others)
      }
      this.#choice.allFailed()
      this.#lost(error, isRestart)
    })
  }

  #dial(name: TransportName, limitMs: number, onFail: DialHandlers['onFail']): Cancel {
    return this.#dialer.dial(name, limitMs, {
      onFail,
      receiver: this.#subscriptions,
      onOpen: this.#use,
      onTrouble: this.#troubled,
      onRecovery: this.#recovered,
      onEnd: this.#lost,
    })
  }

  /** A transport is authenticated. It replaces the previous transport, if any. */
  readonly #use: TransportHandlers['onOpen'] = (opened, hasAdditions) => {
    const previous = this.#transport
    const { name } = opened
    void previous?.close()
    this.#stopTimers()
    this.#cancelAttempt = null
    this.#transport = opened
    this.#choice.use(name)
    this.#connectedAt = Date.now()
    this.#subscriptions.attach({
      send: opened.send,
      hasAdditions,
      hasPositionsInPolls: hasAdditions && opened.hasPolls === true,
      left: new Set(),
      unanswered: new Set(),
    })
    // A handler may have called disconnect().
    if (this.#transport === opened)
      this.#set(
        'connected',
        NOTHING,
        isDevelopment && (previous ? `Moved to ${name}` : `Authenticated by ${name}`),
      )
  }

  /** The transport has a failure and retries by itself. */
  readonly #troubled: TransportHandlers['onTrouble'] = (error, failures, retryInMs) => {
    if (failures > this.#settings.maxAttempts) return this.#giveUp(error)
    // A single lost answer is not reported. A wait that the server asked for is.
    if (failures < 2 && error.retryAfterMs === undefined) return
    this.#set('reconnecting', { error, attempt: failures, retryAt: Date.now() + retryInMs })
  }

  readonly #recovered = (): void => {
    if (this.snapshot.status !== 'connected')
      this.#set('connected', NOTHING, isDevelopment && 'The poll works again')
  }

  /** The connection ended, or an attempt failed. */
  readonly #lost: TransportHandlers['onEnd'] = (error, isRestart) => {
    const wasConnected = this.#transport !== null
    this.#transport = null
    this.#stopTimers()
    if (isFinal(error)) return this.#finish(error)
    const now = Date.now()
    if (wasConnected && now - this.#connectedAt >= STABLE_MS) this.#backoffLevel = 0
    const isRenewal =
      wasConnected &&
      error.code === 'reauthorize' &&
      !this.#choice.isProbing &&
      Math.abs(now - this.#renewedAt) >= RENEWAL_MS
    if (isRenewal) this.#renewedAt = now
    let { attempt } = this.snapshot
    if (!isRestart && !isRenewal) {
      attempt++
      this.#backoffLevel++
    }
    if (attempt > this.#settings.maxAttempts) return this.#giveUp(error)
    // The wait that the server asked for is added to the backoff. So clients that were disconnected together do not
    // reconnect together.
    let retryInMs = (isRestart ? restartMs() : backoffMs(this.#backoffLevel)) + (error.retryAfterMs ?? 0)
    // The server may have ended the long-poll session because it has accepted the WebSocket. Its answer on the WebSocket
    // is then in flight.
    if (this.#choice.isProbing) retryInMs += PROBE_GRACE_MS
    if (isRenewal) this.#tryInTurn(this.#choice.list())
    else this.#retryTimer = setTimeout(() => this.#tryNow(), retryInMs)
    this.#set('reconnecting', { error, attempt, retryAt: isRenewal ? null : now + retryInMs })
    this.#subscriptions.detach(null, isRenewal)
  }

  #giveUp(cause: BroadcasterError): void {
    const { maxAttempts } = this.#settings
    const message = isDevelopment
      ? `Gave up after ${maxAttempts} attempts to reconnect: ${cause.message}`
      : cause.message
    this.#finish(new BroadcasterError('maxAttempts', message, cause))
  }

  /** Ends everything. Only `connect()` starts again. */
  #finish(error: BroadcasterError | null): void {
    this.#stopListening()
    this.#stopListening = () => {}
    this.#stopTimers()
    const ends = [this.#transport?.close(), this.#cancelAttempt?.(), this.#choice.stop()]
    this.#closing = Promise.all(ends).then(() => {})
    this.#cancelAttempt = null
    this.#transport = null
    this.#set('disconnected', { ...NOTHING, error }, isDevelopment && !error && 'disconnect() was called')
    // A listener may have called connect() already.
    this.#subscriptions.detach(this.snapshot.error)
  }

  /** The user has returned, or the network is back. */
  wake(isOnline = false): void {
    const { error, retryAt } = this.snapshot
    if (this.#retryTimer === undefined) this.#transport?.check()
    // The server asked for this wait, so nothing shortens it. After a sleep of the device it may be over before the timer
    // fires.
    else if (error?.retryAfterMs === undefined || Date.now() >= retryAt!) this.#tryNow()
    if (isOnline) this.#choice.probeNow()
  }

  #stopTimers(): void {
    clearTimeout(this.#retryTimer)
    this.#retryTimer = undefined
    this.#choice.stopWaiting()
  }
}
