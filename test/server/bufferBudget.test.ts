import type { Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import type { BroadcasterOptions } from '@broadcaster/server'
import { signIn } from '../support/connect.ts'
import { limitsReached } from '../support/metrics.ts'
import { channelName } from '../support/names.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { tidy } from '../support/tidy.ts'
import { until } from '../support/waiting.ts'
import { WebSocketPeer } from '../support/webSocketPeer.ts'

const KIB = 1024
const messageBytes = 64 * KIB
const padding = 'x'.repeat(messageBytes)

async function start(options: BroadcasterOptions) {
  const sockets: Socket[] = []
  const server = tidy(await startServer({ recovery: { maxBytes: 64 * KIB * KIB }, ...options }))
  server.httpServer.on('connection', (socket) => sockets.push(socket))
  const come = async (auth: object = { __v: 1 }) => {
    const peer = (await signIn(server, { transport: 'websocket', auth })) as WebSocketPeer
    return { peer, socket: sockets.at(-1)! }
  }
  const buffered = () => sockets.reduce((sum, { writableLength }) => sum + writableLength, 0)
  return { server, come, buffered }
}

const nodeStats = async (server: TestServer) => (await server.broadcaster.stats()).node

describe('limits.totalBufferedBytes', () => {
  it('W13: bounds the buffers of many slow readers together, and they miss no message', async () => {
    const totalBufferedBytes = 1024 * KIB
    const limits = { totalBufferedBytes, bufferedBytes: 64 * 1024 * KIB }
    const { server, come, buffered } = await start({ limits })
    const channel = channelName()
    const slow = await Promise.all(Array.from({ length: 3 }, () => come()))
    const bob = await come()
    for (const { peer } of [...slow, bob]) await peer.subscribe(channel)
    for (const { peer } of slow) peer.stall()
    let most = 0
    // More than the 4 to 10 MB that the system buffers for a socket.
    const total = 200
    for (let i = 0; i < total; i++) {
      await server.publish(channel, `${i} ${padding}`)
      expect(await bob.peer.next(), 'the others continue').toMatchObject({ __type: 'message' })
      most = Math.max(most, buffered())
    }
    expect(await nodeStats(server)).toMatchObject({ lagging: slow.length, queuedBytes: buffered() })
    expect(most, 'the limit, plus a sixteenth, plus a message for each client').toBeLessThan(
      totalBufferedBytes * (1 + 1 / 16) + (slow.length + 1) * (messageBytes + KIB),
    )
    for (const { peer } of slow) peer.resume()
    for (const { peer } of slow) {
      const bodies = await peer.bodies(channel, total)
      expect(bodies.map((body) => Number.parseInt(body, 10))).toEqual(bodies.map((_, i) => i))
    }
    await until('no client to be lagging', async () => (await nodeStats(server)).lagging === 0)
    expect((await nodeStats(server)).queuedBytes).toBe(0)
    const [last, ...others] = slow
    last!.peer.stall()
    most = 0
    await until('the last one to be lagging', async () => {
      await server.publish(channel, padding)
      for (const { peer } of [...others, bob]) await peer.next()
      most = Math.max(most, buffered())
      return (await nodeStats(server)).lagging === 1
    })
    expect(most, 'more than its share before').toBeGreaterThan(totalBufferedBytes / 2)
    const reached = await limitsReached(server.broadcaster)
    expect(reached['totalBufferedBytes']).toBeGreaterThan(0)
    expect(reached['bufferedBytes'], 'each became a slow reader').toBeGreaterThan(slow.length)
  })

  it('W13: closes clients with 1013 if the waiting requests of all clients exceed it', async () => {
    const bytes = 60 * KIB
    const { server, come } = await start({
      canConnect: ({ isSlow }) => isSlow !== true || new Promise<boolean>(() => {}),
      limits: { totalBufferedBytes: bytes + 1, bufferedBytes: 64 * KIB },
    })
    const ask = async () => {
      const peer = await WebSocketPeer.connect(server)
      await peer.send({ __type: 'auth', isSlow: true })
      await peer.send({ __type: 'unsubscribe', channel: 'x'.repeat(bytes - 100) })
      return peer
    }
    await ask()
    await until('the request of alice to wait', async () => (await nodeStats(server)).queuedBytes > bytes / 2)
    const carol = await ask()
    expect(await carol.closed).toEqual({ code: 1013, reason: 'Try again later' })
    const { peer } = await come()
    expect(await peer.subscribe(channelName()), 'other clients stay').toMatchObject({ __type: 'subscribeOk' })
  })
})

describe('limits.laggingTimeout', () => {
  it('W13: closes a client that does not read with 1013, and the client continues from its position when it reconnects', async () => {
    const limits = { laggingTimeout: 100, bufferedBytes: 100 * KIB }
    const { server, come } = await start({ limits })
    const channel = channelName()
    const [alice, bob] = [await come(), await come()]
    await alice.peer.subscribe(channel)
    await bob.peer.subscribe(channel)
    alice.peer.stall()
    let count = 0
    const publish = async () => {
      await server.publish(channel, `${count++} ${padding}`)
      await bob.peer.next()
    }
    await until('alice to be lagging', async () => {
      await publish()
      return (await nodeStats(server)).lagging === 1
    })
    await until('alice to be closed', async () => (await nodeStats(server)).webSockets === 1)
    alice.peer.resume()
    expect(await alice.peer.closed).toEqual({ code: 1013, reason: 'Nothing was read for too long' })
    expect(await limitsReached(server.broadcaster)).toMatchObject({ laggingTimeout: 1 })
    const heard = alice.peer.pending
    const position = heard.at(-1)!['position']
    const back = await come()
    expect(await back.peer.subscribe(channel, { position })).toMatchObject({ recovered: true, position })
    const rest = await back.peer.bodies(channel, count - heard.length)
    expect(rest.map((body) => Number.parseInt(body, 10))).toEqual(rest.map((_, i) => heard.length + i))
    expect((await nodeStats(server)).refusals).toMatchObject({ limit: 1 })
  })
})
