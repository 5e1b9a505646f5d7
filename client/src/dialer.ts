import { authData, PROTOCOL_VERSION } from '@broadcaster/protocol'
import type { Auth, Fallback } from '@broadcaster/protocol'
import { isDevelopment } from './development.ts'
import { BroadcasterError } from './errors.ts'
import type { Emitter } from './events.ts'
import { openLongPoll } from './longpoll.ts'
import { isObject } from './options.ts'
import type { Settings } from './options.ts'
import type { Transport, TransportHandlers } from './transport.ts'
import type { TransportName } from './types.ts'
import { openWebSocket } from './websocket.ts'

/** Cancels an attempt to connect. Resolves when its transport is closed. */
export type Cancel = () => Promise<void>

export interface DialHandlers extends TransportHandlers {
  /** The attempt failed. After `onOpen`, the end is reported by `onEnd` instead. */
  onFail: TransportHandlers['onEnd']
}

/** Opens transports. Each one gets fresh credentials and the next generation number of this client. */
export class Dialer {
  /** The token of the last long-poll session. */
  token: string | undefined
  /** The node of the last WebSocket, unless there was an attempt after it whose outcome is not known. */
  node: string | undefined
  /** Why the last WebSocket failed, until a transport is open. */
  fallback: Fallback | undefined
  readonly #settings: Settings
  readonly #emitter: Emitter
  #clientName = ''
  #generation = 0

  constructor(settings: Settings, emitter: Emitter) {
    this.#settings = settings
    this.#emitter = emitter
  }

  /** Calls neither a handler nor code of the application before it returns. */
  dial(name: TransportName, limitMs: number, handlers: DialHandlers): Cancel {
    let isCancelled = false
    let isOpen = false
    let opening: Transport | undefined
    const fail: DialHandlers['onFail'] = (error, ...how) => {
      this.#emitter.emit('attemptFailed', { transport: name, error })
      // A listener may have called disconnect().
      if (!isCancelled) handlers.onFail(error, ...how)
    }
    const start = async () => {
      // The auth function may call any method of the client, so it must not run before the state has changed.
      await Promise.resolve()
      if (isCancelled) return
      const data = await this.#credentials()
      if (isCancelled) return
      const openTransport = this.#settings.open ?? (name === 'websocket' ? openWebSocket : openLongPoll)
      opening = openTransport(
        { settings: this.#settings, auth: this.#makeAuth(data), limitMs },
        {
          ...handlers,
          onOpen: (opened, hasAdditions, answer) => {
            isOpen = true
            this.token = answer.__token
            this.node = answer.__node
            this.fallback = undefined
            handlers.onOpen(opened, hasAdditions, answer)
          },
          onEnd: (...end) => (isOpen ? handlers.onEnd(...end) : fail(...end)),
        },
      )
    }
    start().catch((thrown: unknown) => {
      const error = BroadcasterError.from(thrown, 'connection')
      if (error.code === 'authFunction' && !isCancelled) this.#emitter.emit('error', error)
      // A listener may have called disconnect().
      if (!isCancelled) fail(error)
    })
    return async () => {
      isCancelled = true
      await opening?.close()
    }
  }

  async #credentials(): Promise<object> {
    const { auth, timeoutMs } = this.#settings
    let timer: ReturnType<typeof setTimeout> | undefined
    try {
      const isLate = new Promise<never>((_, reject) => {
        timer = setTimeout(() => {
          reject(new BroadcasterError('timeout', isDevelopment && `no answer within ${timeoutMs} ms`))
        }, timeoutMs)
      })
      const data: unknown = typeof auth === 'function' ? await Promise.race([auth(), isLate]) : auth
      if (!isObject(data)) throw new TypeError('expected an object')
      // A value that can't be written as JSON would otherwise throw later, when it is sent.
      JSON.stringify(data)
      return data
    } catch (thrown) {
      const { message } = BroadcasterError.from(thrown)
      throw new BroadcasterError(
        'authFunction',
        isDevelopment ? `The auth function failed: ${message}` : message,
        thrown,
      )
    } finally {
      clearTimeout(timer)
    }
  }

  #makeAuth(data: object): Auth {
    this.#clientName ||= randomName()
    const { node } = this
    this.node = undefined
    return {
      ...authData({ ...data }),
      __type: 'auth',
      __v: PROTOCOL_VERSION,
      __client: this.#clientName,
      __generation: ++this.#generation,
      // A value that is undefined is not sent.
      __fallback: this.fallback,
      ...(this.token !== undefined && { __previous: this.token }),
      ...(node !== undefined && { __node: node }),
    }
  }
}

/** 128 random bits. By the name of a client, servers recognize that a newer connection replaces an older one. */
export function randomName(): string {
  return crypto.getRandomValues(new Uint32Array(4)).join('-')
}
