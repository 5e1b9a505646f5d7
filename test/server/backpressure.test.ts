import type { Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import type { BroadcasterOptions } from '@broadcaster/server'
import { signIn } from '../support/connect.ts'
import { channelName } from '../support/names.ts'
import { startServer } from '../support/server.ts'
import { tidy } from '../support/tidy.ts'
import { until } from '../support/waiting.ts'
import { WebSocketPeer } from '../support/webSocketPeer.ts'

const bufferedBytes = 100_000
/** More than the 4 to 10 MB that the system takes for a socket by itself. */
const many = 200
const longName = 'x'.repeat(200_000)

async function start(options: BroadcasterOptions = {}) {
  const sockets: Socket[] = []
  // Names of a length that nobody has fill buffers with few requests.
  const large = { messageBytes: 256 * 1024, channelNamesBytes: Infinity }
  const limits = { ...large, bufferedBytes, ...options.limits }
  const server = tidy(await startServer({ ...options, limits }))
  server.httpServer.on('connection', (socket) => sockets.push(socket))
  const come = async (clientOptions: object = {}) => {
    const peer = await WebSocketPeer.connect(server, clientOptions)
    return { peer, socket: sockets.at(-1)! }
  }
  const bob = (await signIn(server, { transport: 'websocket' })) as WebSocketPeer
  /** Time for whatever is under way to arrive. */
  const meanwhile = async () => {
    for (let i = 0; i < 50; i++) await bob.unsubscribe('x')
  }
  return { server, come, meanwhile }
}

/** The application is thinking, until it is told to go on. */
function thinking() {
  let asked = 0
  let goOn!: (answer: boolean) => void
  const answer = new Promise<boolean>((resolve) => (goOn = resolve))
  return { ask: () => (asked++, answer), goOn: () => goOn(true), asked: () => asked }
}

describe('a client that asks and does not read', () => {
  it('R3: is given what it missed once, and again only when it has read that: from the log, with nothing left out', async () => {
    const { server, come, meanwhile } = await start()
    const alice = await come()
    const channel = channelName()
    await alice.peer.auth({ __v: 1 })
    const { position } = await alice.peer.subscribe(channel)
    const bodies = Array.from({ length: 400 }, (_, i) => `${i} ${'x'.repeat(1000)}`)
    for (const body of bodies) await server.publish(channel, body)
    expect(await alice.peer.bodies(channel, bodies.length)).toEqual(bodies)

    alice.peer.stall()
    const { bytesRead } = alice.socket
    let bytesSent = 0
    const send = async (message: object) => {
      const text = JSON.stringify(message)
      bytesSent += text.length
      await alice.peer.send(text)
    }
    for (let i = 0; i < many; i++) {
      await send({ __type: 'unsubscribe', channel })
      await send({ __type: 'subscribe', channel, position })
    }
    await until('her to be read', () => alice.socket.bytesRead >= bytesRead + bytesSent)
    await meanwhile()
    // 80 MB were asked for.
    expect(alice.socket.writableLength).toBeLessThan(bufferedBytes + 1_000_000)

    alice.peer.resume()
    let confirmed = 0
    let heard: unknown[] = []
    while (confirmed < many || heard.length < bodies.length) {
      const message = await alice.peer.next()
      if (message.__type === 'message') heard.push(message['body'])
      if (message.__type !== 'subscribeOk') continue
      confirmed += 1
      expect(message['recovered']).toBe(true)
      heard = ((message['messages'] ?? []) as [string, string][]).map(([body]) => body)
    }
    expect(heard).toEqual(bodies)
    await server.publish(channel, 'live')
    expect(await alice.peer.next()).toMatchObject({ __type: 'message', body: 'live' })
  })

  it('W11: is not read from while more than bufferedBytes of answers wait for it, and served in order when it reads', async () => {
    const { come, meanwhile } = await start()
    const alice = await come()
    await alice.peer.auth()
    alice.peer.stall()
    for (let i = 0; i < many; i++)
      await alice.peer.send({ __type: 'unsubscribe', channel: `${i} ${longName}` })
    await until('her not to be read from', () => alice.socket.isPaused())
    await meanwhile()
    expect(alice.socket.isPaused()).toBe(true)
    // 40 MB were asked for.
    expect(alice.socket.writableLength).toBeLessThan(bufferedBytes + 3 * longName.length)
    alice.peer.resume()
    for (let i = 0; i < many; i++) {
      const { __type, channel } = await alice.peer.next()
      expect([__type, (channel as string).split(' ')[0]]).toEqual(['unsubscribeOk', String(i)])
    }
    expect(alice.socket.isPaused()).toBe(false)
  })

  it('is closed where little that it sends becomes much: compressed frames', async () => {
    const { server, come } = await start({ webSocket: { perMessageDeflate: true } })
    const alice = await come({ perMessageDeflate: true })
    await alice.peer.auth()
    alice.peer.stall()
    for (let i = 0; i < 2 * many; i++) await alice.peer.send({ __type: 'unsubscribe', channel: longName })
    const webSockets = async () => (await server.broadcaster.stats()).node.webSockets
    await until('her to be closed', async () => (await webSockets()) === 1)
    expect(alice.socket.writableLength).toBeLessThan(bufferedBytes + 3 * longName.length)
    alice.peer.resume()
    expect(await alice.peer.closed).toEqual({ code: 4429, reason: 'Too many requests' })
  })
})

describe('requests that wait for the application', () => {
  it('W6: wait unread behind canConnect, and are answered in order when it has answered', async () => {
    const { ask, goOn, asked } = thinking()
    let isFirst = true
    const { come, meanwhile } = await start({ canConnect: () => (isFirst ? !(isFirst = false) : ask()) })
    const alice = await come()
    await alice.peer.send({ __type: 'auth' })
    await until('the application to be asked', () => asked() === 1)
    for (let i = 0; i < many; i++)
      await alice.peer.send({ __type: 'unsubscribe', channel: `${i} ${longName}` })
    await until('her not to be read from', () => alice.socket.isPaused())
    await meanwhile()
    // 40 MB were sent.
    expect(alice.socket.bytesRead).toBeLessThan(3 * longName.length)
    goOn()
    expect(await alice.peer.next()).toEqual({ __type: 'authOk' })
    for (let i = 0; i < many; i++) {
      const { __type, channel } = await alice.peer.next()
      expect([__type, (channel as string).split(' ')[0]]).toEqual(['unsubscribeOk', String(i)])
    }
  })

  it('wait unread behind canSubscribe from twice channelsPerConnection on, and are answered when it has', async () => {
    const { ask, goOn, asked } = thinking()
    const { come, meanwhile } = await start({ canSubscribe: ask, limits: { channelsPerConnection: 2 } })
    const alice = await come()
    await alice.peer.auth()
    const names = Array.from({ length: 50 }, () => channelName())
    for (const channel of names) await alice.peer.send({ __type: 'subscribe', channel })
    await until('her not to be read from', () => alice.socket.isPaused())
    await meanwhile()
    expect(asked()).toBe(4)
    goOn()
    const answers = await alice.peer.take(names.length)
    expect(answers.map(({ channel }) => channel).sort()).toEqual(names.sort())
    expect(answers.filter(({ __type }) => __type === 'subscribeOk')).toHaveLength(2)
  })

  it('wait unread behind canSubscribe from bufferedBytes of names on', async () => {
    const { ask, goOn, asked } = thinking()
    const { come, meanwhile } = await start({ canSubscribe: ask, limits: { channelBytes: 300_000 } })
    const alice = await come()
    await alice.peer.auth()
    for (let i = 0; i < 20; i++) await alice.peer.send({ __type: 'subscribe', channel: `${i} ${longName}` })
    await until('her not to be read from', () => alice.socket.isPaused())
    await meanwhile()
    expect(asked()).toBe(1)
    goOn()
    for (const { __type } of await alice.peer.take(20)) expect(__type).toBe('subscribeOk')
  })

  it('do not keep a connection from its end', async () => {
    const { ask } = thinking()
    const { server, come } = await start({ canSubscribe: ask, limits: { channelsPerConnection: 1 } })
    const alice = await come()
    await alice.peer.auth()
    for (let i = 0; i < 10; i++) await alice.peer.send({ __type: 'subscribe', channel: channelName() })
    await until('her not to be read from', () => alice.socket.isPaused())
    await server.broadcaster.disconnect('everyone')
    expect((await alice.peer.closed).code).toBe(4403)
    await until('the socket to be gone', () => alice.socket.destroyed)
  })
})

it('A3: a first frame far over authBytes is not even parsed', async () => {
  const { come } = await start({ limits: { authBytes: 1000 } })
  const alice = await come()
  await alice.peer.send(`no JSON ${'x'.repeat(6000)}`)
  expect(await alice.peer.next()).toEqual({ __type: 'authError', reason: 'Auth too large' })
  expect((await alice.peer.closed).code).toBe(4401)
})
