import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { BroadcasterClient } from '@broadcaster/client'
import type { ClientOptions, Status, StatusChange } from '@broadcaster/client'
import { expect, onTestFinished } from 'vitest'
import WebSocket, { WebSocketServer } from 'ws'

// A server that does only what the test tells it to do. The tests check how the client handles servers and networks that
// misbehave.

export type Frame = { readonly __type: string; readonly [field: string]: any }

// Tests replace the global timers. The time limits here use the real ones.
const { setTimeout: realSetTimeout, clearTimeout: realClearTimeout } = globalThis
const PATIENCE_MS = 30_000

/** Checks repeatedly, without moving a stopped clock. */
export async function until(what: string, ask: () => boolean): Promise<void> {
  const end = performance.now() + PATIENCE_MS
  while (!ask()) {
    if (performance.now() > end) throw new Error(`Timed out while waiting for ${what}`)
    await new Promise((resolve) => realSetTimeout(resolve, 1))
  }
}

/** A queue. Each item is returned once, in the order of arrival. A caller may wait for an item that arrives later. */
export class Arrivals<T> {
  readonly #things: T[] = []
  readonly #takers = new Set<() => void>()

  get pending(): readonly T[] {
    return this.#things
  }

  push(thing: T): void {
    this.#things.push(thing)
    for (const retry of this.#takers) retry()
  }

  take(what: string, fits: (thing: T) => boolean = () => true): Promise<T> {
    return new Promise((resolve, reject) => {
      const retry = () => {
        const index = this.#things.findIndex(fits)
        if (index < 0) return
        this.#takers.delete(retry)
        realClearTimeout(timer)
        resolve(this.#things.splice(index, 1)[0]!)
      }
      const timer = realSetTimeout(() => {
        this.#takers.delete(retry)
        reject(
          new Error(`Timed out while waiting for ${what}; the queue has ${JSON.stringify(this.#things)}`),
        )
      }, PATIENCE_MS)
      this.#takers.add(retry)
      retry()
    })
  }
}

/** The server side of one WebSocket connection. */
export class ScriptedSocket {
  readonly #socket: WebSocket
  readonly #frames = new Arrivals<Frame>()
  readonly #closes = new Arrivals<number>()
  readonly headers: IncomingMessage['headers']

  constructor(socket: WebSocket, headers: IncomingMessage['headers']) {
    this.#socket = socket
    this.headers = headers
    socket.on('message', (data) => this.#frames.push(JSON.parse(String(data))))
    socket.on('close', (code) => this.#closes.push(code))
    socket.on('error', () => {})
  }

  /** The next frame, or the next frame of that type. */
  next(type?: string): Promise<Frame> {
    return this.#frames.take(`a frame ${type ?? ''}`, (frame) => type === undefined || frame.__type === type)
  }

  get pending(): readonly Frame[] {
    return this.#frames.pending
  }

  send(...frames: Frame[]): void {
    for (const frame of frames) this.#socket.send(`${JSON.stringify(frame)}\n`)
  }

  sendText(text: string): void {
    this.#socket.send(text)
  }

  /** Takes the `subscribe` of the channel and confirms it. */
  async confirm(channel: string, fields: object = {}): Promise<Frame> {
    const request = await this.#frames.take(
      `subscribe ${channel}`,
      (frame) => frame.__type === 'subscribe' && frame['channel'] === channel,
    )
    this.send({ __type: 'subscribeOk', channel, ...fields })
    return request
  }

  close(code: number, reason = ''): void {
    this.#socket.close(code, reason)
  }

  /** Breaks the connection without a closing handshake, like a network that is down. */
  cut(): void {
    this.#socket.terminate()
  }

  /** The code that the client closed with. */
  closed(): Promise<number> {
    return this.#closes.take('a close')
  }
}

/** One long-poll request that waits for its answer. */
export class ScriptedRequest {
  readonly message: Frame
  readonly headers: IncomingMessage['headers']
  readonly #response: ServerResponse
  readonly #gone = new Arrivals<true>()

  constructor(message: Frame, request: IncomingMessage, response: ServerResponse) {
    this.message = message
    this.headers = request.headers
    this.#response = response
    response.on('close', () => {
      if (!response.writableFinished) this.#gone.push(true)
    })
  }

  answer(...messages: Frame[]): void {
    this.answerWith(200, JSON.stringify(messages))
  }

  answerWith(status: number, text: string, headers: Record<string, string> = {}): void {
    this.#response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(text)
  }

  refuse(status: number, message: Frame): void {
    this.answerWith(status, JSON.stringify([message]))
  }

  /** Loses the answer. */
  drop(): void {
    this.#response.destroy()
  }

  /** Resolves when the client has aborted the request. */
  gone(): Promise<true> {
    return this.#gone.take('the end of a request')
  }

  toJSON(): unknown {
    return this.message
  }
}

/** `refuse` is HTTP 400. Any other text is the status line and the headers of the answer. */
export type Upgrades = 'accept' | 'refuse' | 'hang' | `HTTP/1.1 ${string}`

export class ScriptedServer {
  /** What happens to WebSocket handshakes. */
  upgrades: Upgrades
  readonly #http = createServer((request, response) => this.#receive(request, response))
  readonly #webSockets = new WebSocketServer({ noServer: true })
  readonly #connections = new Set<Socket>()
  readonly #handshakes = new Arrivals<'handshake'>()
  readonly #sockets = new Arrivals<ScriptedSocket>()
  readonly #requests = new Arrivals<ScriptedRequest>()

  constructor(upgrades: Upgrades) {
    this.upgrades = upgrades
    this.#http.on('connection', (socket) => {
      this.#connections.add(socket)
      socket.on('close', () => this.#connections.delete(socket))
    })
    this.#http.on('upgrade', (request, socket, head) => {
      socket.on('error', () => {})
      this.#handshakes.push('handshake')
      if (this.upgrades === 'hang') return
      if (this.upgrades !== 'accept') {
        const answer = this.upgrades === 'refuse' ? 'HTTP/1.1 400 Bad Request' : this.upgrades
        return socket.end(`${answer}\r\nConnection: close\r\n\r\n`)
      }
      this.#webSockets.handleUpgrade(request, socket, head, (webSocket) => {
        this.#sockets.push(new ScriptedSocket(webSocket, request.headers))
      })
    })
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#http.address() as AddressInfo).port}/broadcast`
  }

  listen(port = 0): Promise<void> {
    return new Promise((resolve) => this.#http.listen(port, '127.0.0.1', resolve))
  }

  close(): Promise<void> {
    for (const connection of this.#connections) connection.destroy()
    return new Promise((resolve) => this.#http.close(() => resolve()))
  }

  /** Resolves when a handshake has started, whatever its result is. */
  handshake(): Promise<unknown> {
    return this.#handshakes.take('a handshake')
  }

  get pendingHandshakes(): number {
    return this.#handshakes.pending.length
  }

  /** The next WebSocket connection. */
  socket(): Promise<ScriptedSocket> {
    return this.#sockets.take('a WebSocket')
  }

  /** The next request, or the next request of that type. */
  request(type?: string): Promise<ScriptedRequest> {
    return this.#requests.take(
      `a request ${type ?? ''}`,
      ({ message }) => type === undefined || message.__type === type,
    )
  }

  get pendingRequests(): readonly Frame[] {
    return this.#requests.pending.map(({ message }) => message)
  }

  /** Authenticates the next WebSocket connection and returns it. */
  async accept(authOk: object = { __v: 1 }): Promise<ScriptedSocket & { auth: Frame }> {
    const socket = await this.socket()
    const auth = await socket.next('auth')
    socket.send({ __type: 'authOk', ...authOk })
    return Object.assign(socket, { auth })
  }

  /** Gives this token to the next long-poll session. Returns its `auth`. */
  async acceptSession(__token: string, authOk: object = { __v: 1 }): Promise<Frame> {
    const request = await this.request('auth')
    request.answer({ __type: 'authOk', __token, ...authOk })
    return request.message
  }

  /** Takes the `subscribe` of the channel and confirms it. */
  async confirm(channel: string, fields: object = {}): Promise<Frame> {
    const request = await this.#requests.take(
      `subscribe ${channel}`,
      ({ message }) => message.__type === 'subscribe' && message['channel'] === channel,
    )
    request.answer({ __type: 'subscribeOk', channel, ...fields })
    return request.message
  }

  async #receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = ''
    try {
      for await (const chunk of request) text += chunk
    } catch {
      return // The client closed the connection in the middle.
    }
    this.#requests.push(new ScriptedRequest(JSON.parse(text), request, response))
  }
}

export async function scriptedServer(upgrades: Upgrades = 'accept'): Promise<ScriptedServer> {
  const server = new ScriptedServer(upgrades)
  await server.listen()
  onTestFinished(() => server.close())
  return server
}

/** A client with `ws`. It is disconnected at the end of the test. */
export function makeClient(url: string, options: ClientOptions = {}): BroadcasterClient {
  const client = new BroadcasterClient(url, { WebSocket, ...options })
  onTestFinished(() => void client.disconnect())
  return client
}

/** A client on a WebSocket, and the server side of the WebSocket. */
export async function connectWebSocket(options: ClientOptions = {}, authOk?: object) {
  const server = await scriptedServer()
  const client = makeClient(server.url, { mode: 'websocket', ...options })
  const connected = client.connect()
  const socket = await server.accept(authOk)
  await connected
  return { server, client, socket }
}

/** A client on long-poll with session `one`. Its first poll waits at the server. */
export async function connectLongPoll(options: ClientOptions = {}, authOk?: object) {
  const server = await scriptedServer()
  const client = makeClient(server.url, { mode: 'longpoll', ...options })
  const connected = client.connect()
  const auth = await server.acceptSession('one', authOk)
  await connected
  return { server, client, auth }
}

/** Resolves when the client has that status, now or later. */
export function reaches(client: BroadcasterClient, status: Status): Promise<StatusChange | undefined> {
  if (client.status === status) return Promise.resolve(undefined)
  const changes = new Arrivals<StatusChange>()
  const off = client.on('status', (change) => changes.push(change))
  return changes.take(`status ${status}`, ({ to }) => to === status).finally(off)
}

/** Collects an event of the client from now on. Each item is the array of arguments. */
export function hear(client: BroadcasterClient, event: Parameters<BroadcasterClient['on']>[0]) {
  const heard = new Arrivals<any[]>()
  client.on(event, (...args: any[]) => heard.push(args))
  return heard
}

/** A handler that collects bodies: `await news.next()`. */
export function collect() {
  const bodies = new Arrivals<string>()
  return Object.assign((body: string) => bodies.push(body), {
    next: () => bodies.take('a message'),
    take: async (count: number) => {
      const taken: string[] = []
      while (taken.length < count) taken.push(await bodies.take('a message'))
      return taken
    },
    get pending() {
      return bodies.pending
    },
  })
}

let markers = 0

/** Checks that nothing else was sent: the subscribe of a marker channel comes next. */
export async function expectSilence(
  client: { subscribe(name: string, handler: () => void): unknown },
  socket: ScriptedSocket,
) {
  const marker = `marker ${markers++}`
  client.subscribe(marker, () => {})
  expect(await socket.next()).toEqual({ __type: 'subscribe', channel: marker })
  socket.send({ __type: 'subscribeOk', channel: marker })
}
