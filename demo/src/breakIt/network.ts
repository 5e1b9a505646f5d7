import type { ClientOptions, FetchLike, WebSocketConstructor, WebSocketLike } from '@broadcaster/client'

export type NetworkState = { readonly isOffline: boolean; readonly blocksWebSockets: boolean }

/** A browser reports a WebSocket that can't be opened after some time. */
const FAILS_AFTER_MS = 30

/** The network between this page and the server, which can be broken. The client gets its `WebSocket` and `fetch`. */
export class Network {
  #state: NetworkState = { isOffline: false, blocksWebSockets: false }
  readonly #sockets = new Set<WebSocket>()
  readonly #requests = new Set<AbortController>()
  readonly #listeners = new Set<() => void>()

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  readonly getState = (): NetworkState => this.#state

  /** The options of the client. */
  get options(): Pick<ClientOptions, 'WebSocket' | 'fetch'> {
    const open = (url: string) => this.#open(url)
    // A constructor may return another object.
    function OwnWebSocket(url: string) {
      return open(url)
    }
    return { WebSocket: OwnWebSocket as unknown as WebSocketConstructor, fetch: this.fetch }
  }

  /** Ends all connections, as if a cable had been pulled and plugged in again. */
  cut(): void {
    for (const socket of this.#sockets) breakOff(socket)
    for (const request of this.#requests) request.abort()
  }

  setOffline(isOffline: boolean): void {
    this.#change({ isOffline })
    if (isOffline) this.cut()
    // A browser tells the page when the network is back.
    else dispatchEvent(new Event('online'))
  }

  blockWebSockets(blocksWebSockets: boolean): void {
    this.#change({ blocksWebSockets })
    if (blocksWebSockets) for (const socket of this.#sockets) breakOff(socket)
    else dispatchEvent(new Event('online'))
  }

  readonly fetch: FetchLike = async (url, init) => {
    const cut = new AbortController()
    this.#requests.add(cut)
    try {
      if (this.#state.isOffline) throw new Error('offline')
      const response = await fetch(url, { ...init, signal: AbortSignal.any([init.signal, cut.signal]) })
      const text = await response.text()
      return { status: response.status, headers: response.headers, text: async () => text }
    } catch (error) {
      if (init.signal.aborted) throw error
      throw new TypeError('Failed to fetch', { cause: error })
    } finally {
      this.#requests.delete(cut)
    }
  }

  #open(url: string): WebSocketLike {
    const { isOffline, blocksWebSockets } = this.#state
    if (isOffline || blocksWebSockets) return new FailingSocket()
    const socket = new WebSocket(url)
    this.#sockets.add(socket)
    socket.addEventListener('close', () => this.#sockets.delete(socket))
    return socket
  }

  #change(change: Partial<NetworkState>): void {
    this.#state = { ...this.#state, ...change }
    for (const listener of this.#listeners) listener()
  }
}

/** What happens when a connection is lost: the page gets no closing handshake, and no more frames. */
function breakOff(socket: WebSocket): void {
  const { onclose } = socket
  socket.onopen = socket.onmessage = socket.onerror = socket.onclose = null
  socket.close()
  onclose?.call(socket, new CloseEvent('close', { code: 1006 }))
}

/** A WebSocket that can't be opened. */
class FailingSocket implements WebSocketLike {
  onopen = null
  onmessage = null
  onerror = null
  onclose: WebSocketLike['onclose'] = null

  constructor() {
    setTimeout(() => this.onclose?.({ code: 1006, reason: '' }), FAILS_AFTER_MS)
  }

  send(): void {}

  close(): void {
    this.onclose = null
  }
}
