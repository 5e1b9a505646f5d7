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
export interface Connection {
  readonly snapshot: Snapshot
  connect(): Promise<void>
  disconnect(): Promise<void>
}

export function makeConnection(
  settings: Settings,
  emitter: Emitter,
  subscriptions: Subscriptions,
): Connection {
  let snapshot: Snapshot = { status: 'idle', transport: null, ...NOTHING }
  /** Authenticated, and in use. */
  let transport: Transport | null = null
  /** Cancels what is being opened to become the transport. */
  let cancelAttempt: Cancel | null = null
  /** Cancels the WebSocket that is being opened to replace a long-poll that works. */
  let cancelProbe: Cancel | null = null
  let retryTimer: Timer
  let probeTimer: Timer
  let probeMs = PROBE_FIRST_MS
  /** Failures in a row, without those that a short-lived success came between. */
  let backoffLevel = 0
  let connectedAt = 0
  let prefersLongPoll = false
  let clientName = ''
  let generation = 0
  /** Of the last long-poll session. */
  let token: string | undefined
  /** Behind `connect()`. */
  let whenConnected: Deferred | null = null
  let closing: Promise<void> = Promise.resolve()
  let stopListening = () => {}

  return {
    get snapshot() {
      return snapshot
    },
    connect,
    disconnect,
  }

  function connect(): Promise<void> {
    const { status } = snapshot
    if (status === 'connected') return Promise.resolve()
    const { promise } = (whenConnected ??= deferred())
    if (status === 'reconnecting') {
      wake()
    } else if (status !== 'connecting') {
      backoffLevel = 0
      stopListening = listenForWakeUps(wake)
      tryNow()
      subscriptions.revive()
      set('connecting', 'connect() was called', NOTHING)
    }
    return promise
  }

  function disconnect(): Promise<void> {
    if (snapshot.status !== 'disconnected') finish('disconnect() was called', null)
    return closing
  }

  /** The one place that changes the state. Listeners may call anything, so callers are done with theirs before. */
  function set(
    to: Status,
    reason: string,
    { error, attempt, retryAt }: Omit<Snapshot, 'status' | 'transport'>,
  ): void {
    const from = snapshot.status
    const name = to === 'connected' && transport ? transport.name : null
    snapshot = { status: to, transport: name, error, attempt, retryAt }
    const waiting = whenConnected
    if (to === 'connected' || to === 'disconnected') whenConnected = null
    if (to === 'connected') waiting?.resolve()
    if (to === 'disconnected') waiting?.reject(error ?? new BroadcasterError('aborted', reason))
    emitter.emit('status', {
      from,
      to,
      reason,
      transport: name,
      ...(error && { error }),
      ...(attempt > 0 && { attempt }),
      ...(retryAt !== null && { retryInMs: retryAt - Date.now() }),
    })
  }

  function tryNow(): void {
    stopTimers()
    void cancelProbe?.()
    cancelProbe = null
    tryInTurn(transportsToTry())
    const { status, error, attempt } = snapshot
    if (status === 'reconnecting') set(status, 'Trying again', { error, attempt, retryAt: null })
  }

  function transportsToTry(): TransportName[] {
    const { mode } = settings
    if (mode !== 'auto') return [mode]
    if (!webSocketOf(settings) || prefersLongPoll) return ['longpoll']
    return fetchOf(settings) ? ['websocket', 'longpoll'] : ['websocket']
  }

  function tryInTurn([name, ...others]: TransportName[]): void {
    const { timeoutMs } = settings
    const limitMs = others.length > 0 ? Math.min(timeoutMs, FALLBACK_MS) : timeoutMs
    cancelAttempt = open(name!, limitMs, (end) => {
      cancelAttempt = null
      const { code, retryAfterMs } = end.error
      // A refusal asks for other credentials, and a server that has too much to do asks for patience: neither says
      // anything about the transport.
      const isOfTransport = end.retry !== 'never' && code !== 'authFunction' && retryAfterMs === undefined
      if (isOfTransport && others.length > 0) return tryInTurn(others)
      prefersLongPoll = false
      lost(end)
    })
  }

  /** Opens a transport and hands it to `use`; returns the function that cancels it. */
  function open(name: TransportName, limitMs: number, onFail: (end: TransportEnd) => void): Cancel {
    let isCancelled = false
    let isInUse = false
    let opening: Transport | undefined
    const start = async () => {
      const data = await credentials()
      if (isCancelled) return
      const auth = makeAuth(data)
      const openTransport = name === 'websocket' ? openWebSocket : openLongPoll
      opening = openTransport(
        { settings, auth, limitMs },
        {
          onOpen: (opened, hasAdditions) => {
            isInUse = true
            use(opened, hasAdditions)
          },
          onMessage: subscriptions.receive,
          onRequestFailed: subscriptions.fail,
          onTrouble: troubled,
          onEnd: (end) => (isInUse ? lost(end) : onFail(end)),
          positions: subscriptions.positions,
        },
      )
    }
    start().catch((thrown: unknown) => {
      const error = BroadcasterError.from(thrown, 'connection')
      if (error.code === 'authFunction' && !isCancelled) emitter.emit('error', error)
      // A listener may have disconnected.
      if (!isCancelled) onFail({ error, retry: error.code === 'options' ? 'never' : 'backoff' })
    })
    return async () => {
      isCancelled = true
      await opening?.close()
    }
  }

  async function credentials(): Promise<object> {
    const { auth, timeoutMs } = settings
    let timer: Timer
    try {
      const isLate = new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs)
      })
      const data: unknown = typeof auth === 'function' ? await Promise.race([auth(), isLate]) : auth
      if (!isObject(data)) throw new TypeError('expected an object')
      // What JSON can't say would throw where it is sent.
      JSON.stringify(data)
      return data
    } catch (thrown) {
      const { message } = BroadcasterError.from(thrown)
      throw new BroadcasterError('authFunction', `The auth function failed: ${message}`, thrown)
    } finally {
      clearTimeout(timer)
    }
  }

  function makeAuth(data: object): Auth {
    clientName ||= randomName()
    return {
      ...authData({ ...data }),
      __type: 'auth',
      __v: PROTOCOL_VERSION,
      __client: clientName,
      __generation: ++generation,
      ...(token !== undefined && { __previous: token }),
    }
  }

  /** A transport is authenticated: it takes the place of the one there was, if any. */
  function use(opened: Transport, hasAdditions: boolean): void {
    const previous = transport
    void previous?.close()
    stopTimers()
    cancelAttempt = null
    cancelProbe = null
    transport = opened
    token = opened.token
    prefersLongPoll = opened.name === 'longpoll'
    connectedAt = Date.now()
    subscriptions.attach(opened.send, hasAdditions, hasAdditions && opened.name === 'longpoll')
    if (transport !== opened) return
    if (prefersLongPoll) probeLater(PROBE_FIRST_MS)
    set('connected', previous ? `Moved to ${opened.name}` : `Authenticated by ${opened.name}`, NOTHING)
  }

  /** The transport works on at it by itself. */
  function troubled(trouble: Trouble | null): void {
    if (!trouble) {
      if (snapshot.status !== 'connected') set('connected', 'The poll works again', NOTHING)
      return
    }
    const { error, failures, retryInMs } = trouble
    if (failures > settings.maxAttempts) return giveUp(error)
    // One lost answer is nothing that anybody need know of. A long wait is.
    if (failures < 2 && error.retryAfterMs === undefined) return
    set('reconnecting', error.message, { error, attempt: failures, retryAt: Date.now() + retryInMs })
  }

  /** The connection ended, or an attempt failed. */
  function lost({ error, retry }: TransportEnd): void {
    const wasConnected = transport !== null
    transport = null
    stopTimers()
    if (retry === 'never') return finish(error.message, error)
    if (wasConnected && Date.now() - connectedAt >= STABLE_MS) backoffLevel = 0
    let { attempt } = snapshot
    if (retry === 'backoff') {
      attempt++
      backoffLevel++
    }
    if (attempt > settings.maxAttempts) return giveUp(error)
    let retryInMs = retry === 'soon' ? restartMs() : backoffMs(backoffLevel)
    // Added, so that clients that were sent away together do not come back together.
    retryInMs += error.retryAfterMs ?? 0
    // A server that knows of the WebSocket ends the long-poll; its word to the WebSocket itself is on its way.
    if (cancelProbe) retryInMs += PROBE_GRACE_MS
    retryTimer = setTimeout(tryNow, retryInMs)
    set('reconnecting', error.message, { error, attempt, retryAt: Date.now() + retryInMs })
    subscriptions.detach()
  }

  function giveUp(cause: BroadcasterError): void {
    const { maxAttempts } = settings
    const message = `Gave up after ${maxAttempts} attempts to reconnect: ${cause.message}`
    finish(message, new BroadcasterError('maxAttempts', message, cause))
  }

  /** Ends everything; only `connect()` begins again. */
  function finish(reason: string, error: BroadcasterError | null): void {
    stopListening()
    stopListening = () => {}
    stopTimers()
    const ends = [transport?.close(), cancelAttempt?.(), cancelProbe?.()]
    closing = Promise.all(ends).then(() => {})
    cancelAttempt = null
    cancelProbe = null
    transport = null
    set('disconnected', reason, { ...NOTHING, error })
    // A listener may have called connect() already.
    subscriptions.detach(snapshot.error)
    emitter.emit('disconnected', { reason, error })
  }

  function wake(isOnline = false): void {
    const { error, retryAt } = snapshot
    if (retryTimer === undefined) transport?.check()
    // The server asked for this wait, so nothing shortens it. After a sleep it may be over before the timer knows.
    else if (error?.retryAfterMs === undefined || Date.now() >= retryAt!) tryNow()
    if (isOnline && probeTimer !== undefined) probe()
  }

  function probeLater(inMs: number): void {
    if (settings.mode !== 'auto' || !webSocketOf(settings)) return
    probeMs = Math.min(inMs, PROBE_CAP_MS)
    probeTimer = setTimeout(probe, probeMs)
  }

  function probe(): void {
    stopTimers()
    cancelProbe = open('websocket', settings.timeoutMs, ({ retry }) => {
      cancelProbe = null
      // The session that there is was accepted: a refusal leaves it alone.
      if (transport && retry !== 'never') probeLater(probeMs * 2)
    })
  }

  function stopTimers(): void {
    clearTimeout(retryTimer)
    clearTimeout(probeTimer)
    retryTimer = probeTimer = undefined
  }
}

/** By which servers know that a newer connection follows an older one. */
function randomName(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) =>
    byte.toString(16).padStart(2, '0'),
  ).join('')
}
