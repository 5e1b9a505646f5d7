import type { Socket } from 'node:net'
import { expect, it } from 'vitest'
import { signIn } from '../support/connect.ts'
import { channelName } from '../support/names.ts'
import { startServer } from '../support/server.ts'
import { tidy } from '../support/tidy.ts'
import type { WebSocketPeer } from '../support/webSocketPeer.ts'

const KIB = 1024
const CLIENTS = 20
/** 200 KB for each client. */
const bodies = Array.from({ length: 200 }, (_, i) => `${i} ${'x'.repeat(KIB)}`)

/** A server whose sockets a test sees. */
async function start(bufferedBytes: number) {
  const sockets: Socket[] = []
  const server = tidy(await startServer({ limits: { bufferedBytes } }))
  server.httpServer.on('connection', (socket) => sockets.push(socket))
  const come = async () => {
    const peer = (await signIn(server, { transport: 'websocket', auth: { __v: 1 } })) as WebSocketPeer
    return { peer, socket: sockets.at(-1)! }
  }
  return { server, come }
}

/** Returns a function for the most bytes that were written to these sockets in one turn of the event loop. */
function watch(sockets: readonly Socket[]): () => number {
  let most = 0
  let bytes = 0
  for (const socket of sockets) {
    const { write } = socket
    socket.write = function (this: Socket, ...args: Parameters<Socket['write']>) {
      if (bytes === 0) setImmediate(() => (bytes = 0))
      bytes += args[0].length
      most = Math.max(most, bytes)
      return write.apply(this, args)
    } as Socket['write']
  }
  return () => most
}

it.each([
  ['replays in subscribeOk', 64 * KIB * KIB],
  ['messages from the logs, for clients without room for the replays,', 100 * KIB],
])('R3: large %s are made in different turns of the event loop', async (_, bufferedBytes) => {
  const { server, come } = await start(bufferedBytes)
  const { peer: alice } = await come()
  const clients: { peer: WebSocketPeer; socket: Socket; channel: string; position: unknown }[] = []
  for (let i = 0; i < CLIENTS; i++) {
    const channel = channelName()
    const { position } = await alice.subscribe(channel)
    for (const body of bodies) await server.publish(channel, body)
    await alice.take(bodies.length)
    clients.push({ ...(await come()), channel, position })
  }
  const most = watch(clients.map(({ socket }) => socket))
  for (const { peer, channel, position } of clients) {
    void peer.send({ __type: 'subscribe', channel, position })
  }
  for (const { peer } of clients) {
    const heard: unknown[] = []
    while (heard.length < bodies.length) {
      const { messages = [], body } = await peer.next()
      heard.push(...(body === undefined ? (messages as [string][]).map(([text]) => text) : [body]))
    }
    expect(heard).toEqual(bodies)
  }
  // The turns of two callbacks of `setImmediate` may be counted as one.
  expect(most()).toBeLessThan(KIB * KIB)
})
