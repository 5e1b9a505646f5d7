import { authData, deferred, PROTOCOL_VERSION } from '@broadcaster/protocol'
import type { Auth, Fallback } from '@broadcaster/protocol'
import { isDevelopment } from './development.ts'
import { BroadcasterError, textOf } from './errors.ts'
import { openLongPoll } from './longpoll.ts'
import { isObject } from './options.ts'
import type { Settings } from './options.ts'
import type { Transport, TransportHandlers } from './transport.ts'
import type { TransportName } from './types.ts'
import { openWebSocket } from './websocket.ts'

/** Cancels an attempt to connect. Resolves when its transport is closed. */
export type Cancel = () => Promise<void>

/**
 * Opens a transport. Calls neither a handler nor code of the application before it returns.
 *
 * @param onFail the attempt failed. After `onOpen`, the end is reported by `onEnd` instead.
 * @param fallback why the WebSocket failed that this attempt replaces.
 */
export type Dial = (
  name: TransportName,
  limitMs: number,
  onFail: TransportHandlers['onEnd'],
  fallback?: Fallback,
) => Cancel

/** Each transport gets fresh credentials and the next generation number of this client. */
export function makeDial(settings: Settings, handlers: TransportHandlers): Dial {
  const { emitter } = handlers.receiver
  let clientName = ''
  let generation = 0
  /** The token of the last long-poll session. */
  let token: string | undefined
  /** The node of the last WebSocket, unless there was an attempt after it whose outcome is not known. */
  let node: string | undefined

  const credentials = async () => {
    const { auth, timeoutMs } = settings
    const tooLate = deferred()
    const timer = setTimeout(() => {
      tooLate.reject(new BroadcasterError('timeout', isDevelopment && `no answer within ${timeoutMs} ms`))
    }, timeoutMs)
    try {
      const data: unknown = typeof auth === 'function' ? await Promise.race([auth(), tooLate.promise]) : auth
      if (!isObject(data)) throw new Error(isDevelopment ? 'expected an object' : '')
      // A value that can't be written as JSON would otherwise throw later, when it is sent.
      JSON.stringify(data)
      return data
    } catch (thrown) {
      throw new BroadcasterError(
        'authFunction',
        isDevelopment && `The auth function failed: ${textOf(thrown)}`,
        thrown,
      )
    } finally {
      clearTimeout(timer)
    }
  }

  return (name, limitMs, onFail, fallback) => {
    let isCancelled = false
    let isOpen = false
    let opening: Transport | undefined
    const fail: TransportHandlers['onEnd'] = (error, ...how) => {
      if (isCancelled) return
      if (error.code === 'authFunction') emitter.emit(['error', error])
      emitter.emit(['attemptFailed', { transport: name, error }])
      // A listener may have called disconnect().
      if (!isCancelled) onFail(error, ...how)
    }
    const start = async () => {
      // The auth function may call any method of the client, so it must not run before the state has changed.
      await Promise.resolve()
      if (isCancelled) return
      const data = await credentials()
      if (isCancelled) return
      const openTransport = settings.open ?? (name === 'websocket' ? openWebSocket : openLongPoll)
      const auth: Auth = {
        ...authData(data as Record<string, unknown>),
        __type: 'auth',
        __v: PROTOCOL_VERSION,
        __client: (clientName ||= randomName()),
        __generation: ++generation,
        // A value that is undefined is not sent.
        __fallback: fallback,
        __previous: token,
        __node: node,
      }
      node = undefined
      opening = openTransport(
        { settings, auth, limitMs },
        {
          ...handlers,
          onOpen: (opened, answer) => {
            isOpen = true
            token = answer.__token
            node = answer.__node
            handlers.onOpen(opened, answer)
          },
          onEnd: (...end) => (isOpen ? handlers.onEnd : fail)(...end),
        },
      )
    }
    start().catch((thrown: unknown) => fail(BroadcasterError.from(thrown, 'connection')))
    return async () => {
      isCancelled = true
      await opening?.close()
    }
  }
}

/** 128 random bits. By the name of a client, servers recognize that a newer connection replaces an older one. */
export function randomName(): string {
  return crypto.getRandomValues(new Uint32Array(4)).join('-')
}
