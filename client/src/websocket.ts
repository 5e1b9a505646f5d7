import { closeCodes, commonVersion } from '@broadcaster/protocol'
import type { ServerMessage } from '@broadcaster/protocol'
import { TOO_MANY_REQUESTS_MS } from './backoff.ts'
import { BroadcasterError } from './errors.ts'
import type { ErrorCode } from './errors.ts'
import { resolveUrl, webSocketOf } from './options.ts'
import type { OpenTransport, Transport, TransportEnd } from './transport.ts'

/** The time limit for a pong. A server that works answers much sooner. */
export const PONG_LIMIT_MS = 10_000
/** The time limit for a pong when the user has just returned to the page. */
export const CHECK_LIMIT_MS = 5_000
/** The time limit for the closing handshake, which a dead connection never finishes. */
const CLOSE_LIMIT_MS = 1_000

const PING = JSON.stringify({ __type: 'ping' })

export const openWebSocket: OpenTransport = ({ settings, auth, limitMs }, handlers) => {
  const WebSocket = webSocketOf(settings)
  if (!WebSocket) {
    throw new BroadcasterError('options', 'This platform has no WebSocket: pass one as the WebSocket option')
  }
  const { headers, pingIntervalMs } = settings
  const url = resolveUrl(settings, 'ws')
  // The WebSocket of browsers and of Node has no third argument.
  const socket =
    settings.WebSocket && Object.keys(headers).length > 0
      ? new WebSocket(url, [], { headers })
      : new WebSocket(url)
  let isOpen = false
  let isOver = false
  let hasAdditions = false
  let node: string | undefined
  /** True: the timer is the time limit for the next frame. False: it is the time until the next ping. */
  let isWaiting = true
  let timer: ReturnType<typeof setTimeout>

  const expectFrame = (withinMs: number, what: string) => {
    clearTimeout(timer)
    isWaiting = true
    timer = setTimeout(() => {
      end({ error: new BroadcasterError('timeout', `${what} within ${withinMs} ms`), retry: 'backoff' })
    }, withinMs)
  }
  const pingLater = () => {
    clearTimeout(timer)
    isWaiting = false
    timer = setTimeout(() => ping(Math.min(pingIntervalMs, PONG_LIMIT_MS)), pingIntervalMs)
  }
  const ping = (limitMs: number) => {
    socket.send(PING)
    if (hasAdditions) expectFrame(limitMs, 'The server did not answer a ping')
    else pingLater()
  }
  const stop = () => {
    isOver = true
    clearTimeout(timer)
  }
  const end = (how: TransportEnd) => {
    if (isOver) return
    stop()
    socket.close()
    handlers.onEnd(how)
  }

  const transport: Transport = {
    name: 'websocket',
    get node() {
      return node
    },
    send: (request) => {
      if (!isOver) socket.send(JSON.stringify(request))
    },
    check: () => {
      if (!isOver && !isWaiting) ping(CHECK_LIMIT_MS)
    },
    close: () =>
      new Promise((resolve) => {
        if (isOver) return resolve()
        stop()
        const limit = setTimeout(resolve, CLOSE_LIMIT_MS)
        socket.onclose = () => {
          clearTimeout(limit)
          resolve()
        }
        socket.close(1000)
      }),
  }

  socket.onopen = () => {
    if (isOver) return
    // Some proxies open the socket and then forward nothing.
    expectFrame(limitMs, 'The WebSocket opened, but no frame arrived')
    socket.send(JSON.stringify(auth))
  }
  socket.onmessage = ({ data }: { data: string }) => {
    if (isOver) return
    let message: ServerMessage | null
    try {
      message = JSON.parse(data)
    } catch (thrown) {
      return end({
        error: new BroadcasterError('connection', 'A frame is not JSON', thrown),
        retry: 'backoff',
      })
    }
    if (isOpen) {
      if (isWaiting) pingLater()
      if (message) handlers.onMessage(message)
    } else if (message?.__type === 'authOk') {
      isOpen = true
      hasAdditions = commonVersion(message.__v) > 0
      node = message.__node
      pingLater()
      handlers.onOpen(transport, hasAdditions)
    } else if (message?.__type === 'authError') {
      end({ error: new BroadcasterError('unauthorized', message.reason), retry: 'never' })
    }
  }
  // The event has no details, and `close` follows. But `ws` throws if there is no listener.
  socket.onerror = () => {}
  socket.onclose = ({ code, reason }: { code: number; reason: string }) =>
    end(readClose(code, reason, isOpen))

  expectFrame(limitMs, 'The WebSocket did not open')
  return transport
}

function readClose(code: number, reason: string, wasOpen: boolean): TransportEnd {
  const [name, entry] = Object.entries(closeCodes).find(([, known]) => known.code === code) ?? []
  const isFinal = entry?.retry === false
  const words = reason || (wasOpen ? 'The connection was lost' : 'The WebSocket could not be opened')
  return {
    // The names of the final close codes in the table of the protocol are error codes of this package.
    error: new BroadcasterError(
      isFinal ? (name as ErrorCode) : 'connection',
      `${words} (${code})`,
      undefined,
      name === 'tooManyRequests' ? TOO_MANY_REQUESTS_MS : undefined,
    ),
    retry: isFinal ? 'never' : name === 'restart' ? 'soon' : 'backoff',
  }
}
