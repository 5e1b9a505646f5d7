import type { ClientMessage, Fallback, Ping, ServerMessage } from '@broadcaster/protocol'
import { finalCloses, REAUTHORIZE, RESTART, TOO_MANY_REQUESTS } from './closes.ts'
import { isDevelopment } from './development.ts'
import { BroadcasterError } from './errors.ts'
import { required, resolveUrl, webSocketOf } from './options.ts'
import type { OpenTransport, Transport, TransportHandlers } from './transport.ts'
import { CHECK_LIMIT_MS, CLOSE_LIMIT_MS, PONG_LIMIT_MS, TOO_MANY_REQUESTS_MS } from './times.ts'

const PING: Ping = { __type: 'ping' }

export const openWebSocket: OpenTransport = ({ settings, auth, limitMs }, handlers) => {
  const WebSocket = required(
    webSocketOf(settings),
    isDevelopment && 'This platform has no WebSocket: pass one as the WebSocket option',
  )
  const { headers, pingIntervalMs } = settings
  const url = resolveUrl(settings, 'ws')
  // The WebSocket of browsers and of Node has no third argument.
  const socket = settings.WebSocket && headers ? new WebSocket(url, [], { headers }) : new WebSocket(url)
  let isOpen = false
  let isOver = false
  /** True: the timer is the time limit for the next frame. False: it is the time until the next ping. */
  let isWaiting = true
  let timer: ReturnType<typeof setTimeout>

  const expectFrame = (withinMs: number, what: string | false, why?: Fallback) => {
    clearTimeout(timer)
    isWaiting = true
    timer = setTimeout(() => {
      end(new BroadcasterError('timeout', isDevelopment && `${what} within ${withinMs} ms`), false, why)
    }, withinMs)
  }
  const send = (message: ClientMessage) => {
    if (!isOver) socket.send(JSON.stringify(message))
  }
  const pingLater = () => {
    clearTimeout(timer)
    isWaiting = false
    timer = setTimeout(() => ping(Math.min(pingIntervalMs, PONG_LIMIT_MS)), pingIntervalMs)
  }
  const ping = (limitMs: number) => {
    send(PING)
    handlers.receiver.emitter.emit(['wire', PING])
    if (transport.hasAdditions) expectFrame(limitMs, isDevelopment && 'The server did not answer a ping')
    else pingLater()
  }
  const stop = () => {
    clearTimeout(timer)
    isOver = true
  }
  const end: TransportHandlers['onEnd'] = (error, ...how) => {
    if (isOver) return
    stop()
    socket.close()
    handlers.onEnd(error, ...how)
  }

  const transport: Transport = {
    name: 'websocket',
    send,
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
    expectFrame(limitMs, isDevelopment && 'The WebSocket opened, but no frame arrived', 'silence')
    send(auth)
  }
  socket.onmessage = ({ data }: { data: string }) => {
    if (isOver) return
    let message: ServerMessage | null
    try {
      message = JSON.parse(data)
    } catch (thrown) {
      return end(new BroadcasterError('connection', isDevelopment && 'A frame is not JSON', thrown))
    }
    if (isOpen) {
      if (isWaiting) pingLater()
      if (message) handlers.receiver.receive(message)
    } else if (message?.__type === 'authOk') {
      isOpen = true
      transport.hasAdditions = message.__v! >= 1
      pingLater()
      handlers.onOpen(transport, message)
    } else if (message?.__type === 'authError') {
      end(new BroadcasterError('unauthorized', message.reason))
    }
  }
  // The event has no details, and `close` follows. But `ws` throws if there is no listener.
  socket.onerror = () => {}
  socket.onclose = ({ code, reason }: { code: number; reason: string }) => {
    const error = new BroadcasterError(
      code === REAUTHORIZE ? 'reauthorize' : (finalCloses[code as keyof typeof finalCloses] ?? 'connection'),
      `${reason || (isDevelopment ? describe(isOpen) : 'WebSocket')} (${code})`,
      undefined,
      code === TOO_MANY_REQUESTS ? TOO_MANY_REQUESTS_MS : undefined,
    )
    end(error, code === RESTART, code)
  }

  expectFrame(limitMs, isDevelopment && 'The WebSocket did not open', 'timeout')
  return transport
}

function describe(wasOpen: boolean): string {
  return wasOpen ? 'The connection was lost' : 'The WebSocket could not be opened'
}
