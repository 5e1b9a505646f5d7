import type { Server } from 'node:http'
import type { Express } from 'express'
import expressWs from 'express-ws'
import { Server as SocketIoServer } from 'socket.io'
import { WebSocketServer, type WebSocket } from 'ws'

/** Other WebSocket servers on the same HTTP server, added before or after ours. */
export type Neighbour = {
  readonly before?: (server: Server, app: Express) => void
  readonly after?: (server: Server, app: Express) => void
}

/** The neighbours on one server are compatible. Those that take every upgrade have their own server. */
export const neighbours = {
  'socket.io': { before: addSocketIo, after: addRaw },
  'express-ws': { after: addExpressWs },
  'express-ws first': { before: addExpressWs },
  ws: { before: (server) => greet(new WebSocketServer({ server })) },
  'ws path': { after: (server) => greet(new WebSocketServer({ server, path: '/theirs/1' })) },
  none: {},
} as const satisfies Record<string, Neighbour>

export type NeighbourName = keyof typeof neighbours
export const neighbourNames = Object.keys(neighbours) as NeighbourName[]

function addSocketIo(server: Server): void {
  const io = new SocketIoServer(server, { pingInterval: 1000, pingTimeout: 1000, connectTimeout: 1000 })
  io.on('connection', (socket) => {
    socket.on('echo', (text: unknown, reply: unknown) => {
      if (typeof reply === 'function') (reply as (text: unknown) => void)(text)
    })
  })
}

/** Like the README of `ws`: it destroys the sockets of all unknown paths. */
function addRaw(server: Server): void {
  const raw = new WebSocketServer({ noServer: true })
  server.on('upgrade', (request, socket, head) => {
    if (request.url?.startsWith('/socket.io/')) return
    socket.on('error', () => {})
    if (request.url === '/raw') raw.handleUpgrade(request, socket, head, echo)
    else socket.destroy()
  })
}

function addExpressWs(server: Server, app: Express): void {
  const { app: withWs, getWss } = expressWs(app, server)
  // express-ws adds no error listener before a route has the socket.
  getWss().on('connection', (socket) => socket.on('error', () => {}))
  withWs.ws('/theirs/:id', (socket) => echo(socket as unknown as WebSocket))
}

function greet(server: WebSocketServer): void {
  server.on('connection', echo)
}

function echo(socket: WebSocket): void {
  socket.on('error', () => {})
  socket.on('message', (data) => socket.send(data))
}
