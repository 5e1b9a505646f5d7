import { deferred, type Deferred, type Fallback } from '@broadcaster/protocol'
import { backoffMs, restartMs } from './backoff.ts'
import { isFinal } from './closes.ts'
import { makeDial } from './dialer.ts'
import type { Cancel } from './dialer.ts'
import { isDevelopment } from './development.ts'
import { BroadcasterError } from './errors.ts'
import type { Settings } from './options.ts'
import type { Subscriptions } from './subscriptions.ts'
import type { Transport, TransportHandlers } from './transport.ts'
import { makeTransportChoice } from './transportChoice.ts'
import type { Snapshot, Status } from './types.ts'
import { listenForWakeUps } from './wakeup.ts'
import { FALLBACK_MS, PROBE_GRACE_MS, RENEWAL_MS, STABLE_MS } from './times.ts'

/** The rest of a snapshot when no attempt waits and there is no error. */
const NOTHING = { error: null, attempt: 0, retryAt: null }

export interface Connection {
  getSnapshot(): Snapshot
  connect(): Promise<void>
  disconnect(): Promise<void>
  /** See {@link Inspection}. */
  drop(reason: string): void
  /** The user has returned, or the network is back. */
  wake(isOnline?: boolean): void
}

/**
 * The state of the connection, and everything that changes it.
 *
 * Listeners and handlers of the application may call `connect()` and `disconnect()` at any time. So each function here
 * changes its state first and calls listeners last. Or it checks afterwards whether its state is still the newest.
 */
export function makeConnection(settings: Settings, subscriptions: Subscriptions): Connection {
  let snapshot: Snapshot = { status: 'idle', transport: null, ...NOTHING }
  /** The authenticated transport in use. */
  let transport: Transport | undefined
  let cancelAttempt: Cancel | undefined
  let retryTimer: ReturnType<typeof setTimeout> | undefined
  /** Failures in a row. A connection that was shorter than `STABLE_MS` does not reset it. */
  let backoffLevel = 0
  let connectedAt = 0
  /** When this client last sent credentials again because it was asked to. */
  let renewedAt = 0
  /** The promise of `connect()`. */
  let whenConnected: Deferred | undefined
  let closing: Promise<unknown> | undefined
  let stopListening = () => {}

  const connect = () => {
    const { status } = snapshot
    if (status === 'connected') return Promise.resolve()
    const { promise } = (whenConnected ??= deferred())
    if (status === 'reconnecting') {
      wake()
    } else if (status !== 'connecting') {
      backoffLevel = 0
      stopListening = listenForWakeUps(wake)
      tryInTurn()
      set('connecting', NOTHING, isDevelopment && 'connect() was called')
      // A listener may have called disconnect().
      if (snapshot.status === 'connecting') subscriptions.detach()
    }
    return promise
  }

  const disconnect = async () => {
    if (snapshot.status !== 'disconnected') finish(null)
    await closing
  }

  const drop = (reason: string) => {
    const cancel = cancelAttempt
    cancelAttempt = undefined
    void cancel?.()
    void transport?.close()
    choice.allFailed()
    if (transport || cancel) lost(new BroadcasterError('connection', reason))
  }

  /** The only place that changes the state. @param sentence the reason, if it is not the error. */
  const set = (
    to: Status,
    { error, attempt, retryAt }: Omit<Snapshot, 'status' | 'transport'>,
    sentence?: string | false,
  ) => {
    const from = snapshot.status
    const reason = sentence || error?.message || to
    const name = (to === 'connected' && transport?.name) || null
    snapshot = { status: to, transport: name, error, attempt, retryAt }
    if (to === 'connected' || to === 'disconnected') {
      const waiting = whenConnected
      whenConnected = undefined
      if (to === 'connected') waiting?.resolve()
      else waiting?.reject(error ?? new BroadcasterError('aborted', reason))
    }
    const change = {
      from,
      to,
      reason,
      transport: name,
      ...(error && { error }),
      ...(attempt && { attempt }),
      ...(retryAt && { retryInMs: Math.max(retryAt - Date.now(), 0) }),
    }
    subscriptions.emitter.emit(
      ['status', change],
      ...(to === 'disconnected' ? [['disconnected', { reason, error }] as const] : []),
    )
  }

  const tryNow = () => {
    stopTimers()
    void choice.stop()
    tryInTurn()
    set('reconnecting', { ...snapshot, retryAt: null }, isDevelopment && 'Trying again')
  }

  const tryInTurn = ([name, ...others] = choice.list(), fallback?: Fallback) => {
    const { timeoutMs } = settings
    const limitMs = others.length > 0 ? Math.min(timeoutMs, FALLBACK_MS) : timeoutMs
    const failed: TransportHandlers['onEnd'] = (error, isRestart, why = 'error') => {
      cancelAttempt = undefined
      // A refusal of the credentials, or a request to wait from an overloaded server, says nothing about the transport.
      const isOfTransport =
        !isFinal(error) && error.code !== 'authFunction' && error.retryAfterMs === undefined
      if (isOfTransport && others.length > 0) {
        choice.webSocketFailed(error)
        return tryInTurn(others, why)
      }
      choice.allFailed()
      lost(error, isRestart)
    }
    cancelAttempt = dial(name!, limitMs, failed, fallback)
  }

  /** A transport is authenticated. It replaces the previous transport, if any. */
  const use: TransportHandlers['onOpen'] = (opened) => {
    const { name } = opened
    const previous = transport
    void previous?.close()
    stopTimers()
    cancelAttempt = undefined
    transport = opened
    choice.use(name)
    connectedAt = Date.now()
    subscriptions.attach(opened)
    // A handler may have called disconnect().
    if (transport === opened)
      set('connected', NOTHING, isDevelopment && (previous ? `Moved to ${name}` : `Authenticated by ${name}`))
  }

  /** The transport has a failure and retries by itself. */
  const troubled: TransportHandlers['onTrouble'] = (error, failures, retryInMs) => {
    if (failures > settings.maxAttempts) return giveUp(error)
    // A single lost answer is not reported. A wait that the server asked for is.
    if (failures < 2 && error.retryAfterMs === undefined) return
    set('reconnecting', { error, attempt: failures, retryAt: Date.now() + retryInMs })
  }

  const recovered = () => {
    if (snapshot.status !== 'connected') set('connected', NOTHING, isDevelopment && 'The poll works again')
  }

  /** The connection ended, or an attempt failed. */
  const lost: TransportHandlers['onEnd'] = (error, isRestart) => {
    const wasConnected = transport !== undefined
    transport = undefined
    stopTimers()
    if (isFinal(error)) return finish(error)
    const now = Date.now()
    if (wasConnected && now - connectedAt >= STABLE_MS) backoffLevel = 0
    const isRenewal =
      wasConnected &&
      error.code === 'reauthorize' &&
      !choice.isProbing() &&
      Math.abs(now - renewedAt) >= RENEWAL_MS
    if (isRenewal) renewedAt = now
    let { attempt } = snapshot
    if (!isRestart && !isRenewal) {
      attempt++
      backoffLevel++
    }
    if (attempt > settings.maxAttempts) return giveUp(error)
    let retryInMs = isRestart ? restartMs() : backoffMs(backoffLevel, error)
    // The server may have ended the long-poll session because it has accepted the WebSocket. Its answer on the WebSocket
    // is then in flight.
    if (choice.isProbing()) retryInMs += PROBE_GRACE_MS
    if (isRenewal) tryInTurn()
    else retryTimer = setTimeout(tryNow, retryInMs)
    set('reconnecting', { error, attempt, retryAt: isRenewal ? null : now + retryInMs })
    subscriptions.detach(null, isRenewal)
  }

  const giveUp = (cause: BroadcasterError) => {
    const sentence =
      isDevelopment && `Gave up after ${settings.maxAttempts} attempts to reconnect: ${cause.message}`
    finish(new BroadcasterError('maxAttempts', sentence, cause))
  }

  /** Ends everything. Only `connect()` starts again. */
  const finish = (error: BroadcasterError | null) => {
    stopListening()
    stopTimers()
    closing = Promise.all([transport?.close(), cancelAttempt?.(), choice.stop()])
    cancelAttempt = undefined
    transport = undefined
    set('disconnected', { ...NOTHING, error }, isDevelopment && !error && 'disconnect() was called')
    // A listener may have called connect() already.
    subscriptions.detach(snapshot.error)
  }

  const wake = (isOnline?: boolean) => {
    const { error, retryAt } = snapshot
    if (!retryTimer) transport?.check()
    // The server asked for this wait, so nothing shortens it. After a sleep of the device it may be over before the timer
    // fires.
    else if (error?.retryAfterMs === undefined || Date.now() >= retryAt!) tryNow()
    if (isOnline) choice.probeNow()
  }

  const stopTimers = () => {
    clearTimeout(retryTimer)
    retryTimer = undefined
    choice.stopWaiting()
  }

  const dial = makeDial(settings, {
    receiver: subscriptions,
    onOpen: use,
    onTrouble: troubled,
    onRecovery: recovered,
    onEnd: lost,
  })
  const choice = makeTransportChoice(settings, (onFail) => dial('websocket', settings.timeoutMs, onFail))
  return { getSnapshot: () => snapshot, connect, disconnect, drop, wake }
}
