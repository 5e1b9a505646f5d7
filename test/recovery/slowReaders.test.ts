import type { Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import { signIn } from '../support/connect.ts'
import type { LongPollPeer } from '../support/longPollPeer.ts'
import { channelName } from '../support/names.ts'
import { startRedis } from '../support/redis.ts'
import { startServer } from '../support/server.ts'
import { tidy } from '../support/tidy.ts'
import { until } from '../support/waiting.ts'
import type { WebSocketPeer } from '../support/webSocketPeer.ts'

const bufferedBytes = 100_000
const messageBytes = 65_536
/** More than the 4 to 10 MB that the system buffers for a socket. */
const total = 300

const redis = tidy(await startRedis())

async function start(recovery: { maxBytes: number } | false) {
  const sockets: Socket[] = []
  const server = tidy(await startServer({ redis: redis.url, recovery, limits: { bufferedBytes } }))
  server.httpServer.on('connection', (socket) => sockets.push(socket))
  const come = async (auth: object = { __v: 1 }) => {
    const peer = (await signIn(server, { transport: 'websocket', auth })) as WebSocketPeer
    return { peer, socket: sockets.at(-1)! }
  }
  const lagging = async () => (await server.broadcaster.stats()).node.lagging
  return { server, come, lagging }
}

describe('a WebSocket client that reads more slowly than messages arrive', () => {
  it('R5: gets no writes until it reads, needs no buffer of its own, delays no other client, and misses no message', async () => {
    const { server, come, lagging } = await start({ maxBytes: 64 * 1024 * 1024 })
    const [channel, other] = [channelName(), channelName()]
    const [alice, bob] = [await come(), await come()]
    for (const { peer } of [alice, bob]) for (const name of [channel, other]) await peer.subscribe(name)
    alice.peer.stall()
    const padding = 'x'.repeat(messageBytes)
    let mostBuffered = 0
    for (let i = 0; i < total; i++) {
      const name = i % 10 === 0 ? other : channel
      await server.publish(name, `${i} ${padding}`)
      expect(numberOf(await bob.peer.next()), 'the others continue').toBe(i)
      mostBuffered = Math.max(mostBuffered, alice.socket.writableLength)
    }
    expect(await lagging()).toBe(1)
    expect(mostBuffered, 'the limit, plus the write that exceeded it').toBeGreaterThan(bufferedBytes)
    expect(mostBuffered).toBeLessThan(bufferedBytes + 2 * messageBytes)

    alice.peer.resume()
    const messages = await alice.peer.take(total)
    expect(messages.filter(({ __type }) => __type !== 'message')).toEqual([])
    for (const name of [channel, other]) {
      const heard = messages.filter((message) => message['channel'] === name).map(numberOf)
      const published = Array.from({ length: total }, (_, i) => i)
      expect(heard).toEqual(published.filter((i) => (i % 10 === 0) === (name === other)))
    }
    await until('no client to be lagging', async () => (await lagging()) === 0)
    await server.publish(channel, 'live')
    expect(await alice.peer.next()).toMatchObject({ __type: 'message', body: 'live' })
    expect(await bob.peer.next()).toMatchObject({ body: 'live' })
  })

  it('S1, U1, U2: gets answers to its requests, and no messages of channels that it unsubscribes', async () => {
    const { server, come, lagging } = await start({ maxBytes: 64 * 1024 * 1024 })
    const [channel, wanted] = [channelName(), channelName()]
    const alice = await come()
    for (const name of [channel, wanted]) await alice.peer.subscribe(name)
    alice.peer.stall()
    const padding = 'x'.repeat(messageBytes)
    let count = 0
    await until('alice to be lagging', async () => {
      for (let i = 0; i < 20; i++) await server.publish(channel, `${count++} ${padding}`)
      return (await lagging()) === 1
    })
    await server.publish(wanted, 'after all')
    await alice.peer.send({ __type: 'unsubscribe', channel })
    await until('the channel to be unsubscribed', async () => {
      const { localSubscriptions } = await server.broadcaster.stats()
      return !(channel in localSubscriptions)
    })
    for (let i = 0; i < 20; i++) await server.publish(channel, 'not wanted any more')
    alice.peer.resume()
    let message = await alice.peer.next()
    for (let i = 0; message.__type === 'message' && message['channel'] === channel; i++) {
      expect(numberOf(message)).toBe(i)
      message = await alice.peer.next()
    }
    const rest = [message, await alice.peer.next()]
    expect(rest).toContainEqual({ __type: 'unsubscribeOk', channel })
    expect(rest).toContainEqual(expect.objectContaining({ channel: wanted, body: 'after all' }))
    await alice.peer.hearsNothing()
  })

  it('R6: is closed with 4410 if recovery is off, because there is no log from which it could continue', async () => {
    const { server, come } = await start(false)
    const channel = channelName()
    const [alice, bob] = [await come(), await come()]
    for (const { peer } of [alice, bob]) await peer.subscribe(channel)
    alice.peer.stall()
    const padding = 'x'.repeat(messageBytes)
    let count = 0
    await until('alice to be closed', async () => {
      await server.publish(channel, `${count} ${padding}`)
      expect(numberOf(await bob.peer.next())).toBe(count++)
      return (await server.broadcaster.stats()).node.webSockets === 1
    })
    alice.peer.resume()
    expect(await alice.peer.closed).toEqual({ code: 4410, reason: 'Messages were missed' })
    const heard = alice.peer.pending.map(numberOf)
    expect(heard, 'it received the beginning, without a hole').toEqual(heard.map((_, i) => i))
  })

  it('R6: is closed with 4410 if recovery is off and it subscribes to a channel without a log meanwhile', async () => {
    const { server, come, lagging } = await start(false)
    const [logged, unlogged] = [channelName(), channelName()]
    const poller = (await signIn(server, { transport: 'longpoll' })) as LongPollPeer
    await poller.subscribe(logged)
    const [alice, bob] = [await come(), await come()]
    for (const { peer } of [alice, bob]) await peer.subscribe(logged)
    alice.peer.stall()
    const padding = 'x'.repeat(messageBytes)
    await until('alice to be lagging', async () => {
      await server.publish(logged, padding)
      await bob.peer.next()
      return (await lagging()) === 1
    })
    await alice.peer.send({ __type: 'subscribe', channel: unlogged })
    await until('alice to be closed', async () => (await server.broadcaster.stats()).node.webSockets === 1)
    alice.peer.resume()
    expect(await alice.peer.closed).toEqual({ code: 4410, reason: 'Messages were missed' })
    expect(await bob.peer.subscribe(unlogged), 'other clients continue').toMatchObject({
      __type: 'subscribeOk',
    })
  })

  it('R5: gets the messages of a quiet channel before all messages of a busy one', async () => {
    const { server, come, lagging } = await start({ maxBytes: 64 * 1024 * 1024 })
    const [busy, quiet] = [channelName(), channelName()]
    const alice = await come()
    for (const name of [busy, quiet]) await alice.peer.subscribe(name)
    alice.peer.stall()
    const padding = 'x'.repeat(messageBytes)
    for (let i = 0; i < total; i++) await server.publish(busy, `${i} ${padding}`)
    await server.publish(quiet, 'heard')
    await until('alice to be lagging', async () => (await lagging()) === 1)
    alice.peer.resume()
    const messages = await alice.peer.take(total + 1)
    const names = messages.map(({ channel }) => channel)
    expect(names.indexOf(quiet)).toBeLessThan(total)
    expect(messages.filter(({ channel }) => channel === busy).map(numberOf)).toEqual(
      Array.from({ length: total }, (_, i) => i),
    )
  })
})

function numberOf(message: { readonly [field: string]: unknown }): number {
  return Number.parseInt(String(message['body']), 10)
}
