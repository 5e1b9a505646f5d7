import type { WebSocketConstructor, WebSocketLike } from '@broadcaster/client'
import { Connection } from '../server/connection.ts'
import type { TestServer } from '../server/testServer.ts'
import { Line } from './line.ts'
import type { Network } from './network.ts'

const CONNECTING = 0
const OPEN = 1
const CLOSING = 2
const CLOSED = 3
/** The close codes where there was no close frame, and where it had no code. */
const LOST = 1006
const NO_CODE = 1005

/** A class of WebSockets that connect to the server, whatever their URL is. */
export function webSocketTo(server: TestServer, network: Network): WebSocketConstructor {
  return class TestWebSocket implements WebSocketLike {
    readonly url: string
    readyState = CONNECTING
    onopen: WebSocketLike['onopen'] = null
    onmessage: WebSocketLike['onmessage'] = null
    onerror: WebSocketLike['onerror'] = null
    onclose: WebSocketLike['onclose'] = null
    readonly #line = new Line(network)
    readonly #stopListening: () => void
    #connection: Connection | null = null

    constructor(url: string) {
      this.url = url
      this.#stopListening = network.onDrop(() => this.#lose())
      if (network.isUp) this.#line.send([], () => this.#open())
      else this.#lose()
    }

    send(text: string): void {
      if (this.readyState === CONNECTING) throw new Error('The WebSocket is not open yet')
      if (this.readyState !== OPEN) return
      network.receive(text, () => {
        if (this.readyState === OPEN) this.#connection?.receive(text)
      })
    }

    close(code = NO_CODE, reason = ''): void {
      if (this.readyState >= CLOSING) return
      this.readyState = CLOSING
      this.#connection?.gone()
      this.#line.cut()
      this.#line.send([], () => this.#end(code, reason))
    }

    #open(): void {
      if (this.readyState !== CONNECTING) return
      this.readyState = OPEN
      this.#connection = new Connection(server, {
        send: (message) =>
          this.#line.send([message], () => {
            if (this.readyState === OPEN) this.onmessage?.({ data: JSON.stringify(message) })
          }),
        close: (code, reason) => this.#line.send([], () => this.#end(code, reason)),
      })
      this.onopen?.({})
    }

    /** The network is down. */
    #lose(): void {
      if (this.readyState === CLOSED) return
      this.#connection?.gone()
      this.#line.cut()
      void Promise.resolve().then(() =>
        network.deliver(() => {
          this.onerror?.({})
          this.#end(LOST, '')
        }),
      )
    }

    #end(code: number, reason: string): void {
      if (this.readyState === CLOSED) return
      this.readyState = CLOSED
      this.#stopListening()
      this.onclose?.({ code, reason })
    }
  }
}
