import { randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import type { BroadcasterOptions } from '@broadcaster/server'
import { signIn } from '../support/connect.ts'
import { channelName } from '../support/names.ts'
import { startServer } from '../support/server.ts'
import { tidy } from '../support/tidy.ts'
import { until } from '../support/waiting.ts'
import { WebSocketPeer } from '../support/webSocketPeer.ts'

const bufferedBytes = 100_000
/** More than the 4 to 10 MB that the system buffers for a socket. */
const many = 200
const longName = 'x'.repeat(200_000)

async function start(options: BroadcasterOptions = {}) {
  const sockets: Socket[] = []
  // Very long names fill the buffers with few requests.
  const large = { messageBytes: 256 * 1024, channelNamesBytes: Infinity }
  const limits = { ...large, bufferedBytes, ...options.limits }
  const server = tidy(await startServer({ ...options, limits }))
  server.httpServer.on('connection', (socket) => sockets.push(socket))
  const come = async (clientOptions: object = {}) => {
    const peer = await WebSocketPeer.connect(server, clientOptions)
    return { peer, socket: sockets.at(-1)! }
  }
  const bob = (await signIn(server, { transport: 'websocket' })) as WebSocketPeer
  /** Resolves when everything in flight has had time to arrive. */
  const meanwhile = async () => {
    for (let i = 0; i < 50; i++) await bob.unsubscribe('x')
  }
  return { server, come, meanwhile }
}

/** A callback of the application that does not answer until `goOn` is called. */
function heldCallback() {
  let asked = 0
  let goOn!: (answer: boolean) => void
  const answer = new Promise<boolean>((resolve) => (goOn = resolve))
  return { ask: () => (asked++, answer), goOn: () => goOn(true), asked: () => asked }
}

describe('a client that sends requests and does not read', () => {
  it('R3: gets the missed messages once, and again only when it has read them, and no message is left out', async () => {
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
    await until('the server to read from alice', () => alice.socket.bytesRead >= bytesRead + bytesSent)
    await meanwhile()
    // The client has requested 80 MB.
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

  it('W11: is not read from while more than bufferedBytes of answers are buffered, and is answered in order when it reads', async () => {
    const { come, meanwhile } = await start()
    const alice = await come()
    await alice.peer.auth()
    alice.peer.stall()
    for (let i = 0; i < many; i++)
      await alice.peer.send({ __type: 'unsubscribe', channel: `${i} ${longName}` })
    await until('the server to stop reading from alice', () => alice.socket.isPaused())
    await meanwhile()
    expect(alice.socket.isPaused()).toBe(true)
    // The client has requested 40 MB.
    expect(alice.socket.writableLength).toBeLessThan(bufferedBytes + 3 * longName.length)
    alice.peer.resume()
    for (let i = 0; i < many; i++) {
      const { __type, channel } = await alice.peer.next()
      expect([__type, (channel as string).split(' ')[0]]).toEqual(['unsubscribeOk', String(i)])
    }
    expect(alice.socket.isPaused()).toBe(false)
  })

  it('W11: is not read from either if its frames are compressed', async () => {
    const { come, meanwhile } = await start({ webSocket: { perMessageDeflate: true } })
    const alice = await come({ perMessageDeflate: true })
    await alice.peer.auth()
    alice.peer.stall()
    // A text that hardly becomes smaller.
    const names = Array.from({ length: many }, (_, i) => `${i} ${randomBytes(150_000).toString('base64')}`)
    for (const channel of names) await alice.peer.send({ __type: 'unsubscribe', channel })
    await until('the buffer to be full', () => alice.socket.writableLength > bufferedBytes)
    await meanwhile()
    const { bytesRead } = alice.socket
    await meanwhile()
    expect(alice.socket.bytesRead).toBe(bytesRead)
    alice.peer.resume()
    for (const channel of names) expect(await alice.peer.next()).toEqual({ __type: 'unsubscribeOk', channel })
  })

  it('is closed when it sends small compressed frames that inflate to much', async () => {
    const { server, come } = await start({ webSocket: { perMessageDeflate: true } })
    const alice = await come({ perMessageDeflate: true })
    await alice.peer.auth()
    alice.peer.stall()
    for (let i = 0; i < 2 * many; i++) await alice.peer.send({ __type: 'unsubscribe', channel: longName })
    const webSockets = async () => (await server.broadcaster.stats()).node.webSockets
    await until('alice to be closed', async () => (await webSockets()) === 1)
    expect(alice.socket.writableLength).toBeLessThan(bufferedBytes + 3 * longName.length)
    alice.peer.resume()
    expect(await alice.peer.closed).toEqual({ code: 4429, reason: 'Too many requests' })
  })
})

describe('requests that wait for the application', () => {
  it('W6: stay unread until canConnect has answered, and then are answered in order', async () => {
    const { ask, goOn, asked } = heldCallback()
    let isFirst = true
    const { come, meanwhile } = await start({ canConnect: () => (isFirst ? !(isFirst = false) : ask()) })
    const alice = await come()
    await alice.peer.send({ __type: 'auth' })
    await until('the application to be asked', () => asked() === 1)
    for (let i = 0; i < many; i++)
      await alice.peer.send({ __type: 'unsubscribe', channel: `${i} ${longName}` })
    await until('the server to stop reading from alice', () => alice.socket.isPaused())
    await meanwhile()
    // The client has sent 40 MB.
    expect(alice.socket.bytesRead).toBeLessThan(3 * longName.length)
    goOn()
    expect(await alice.peer.next()).toEqual({ __type: 'authOk' })
    for (let i = 0; i < many; i++) {
      const { __type, channel } = await alice.peer.next()
      expect([__type, (channel as string).split(' ')[0]]).toEqual(['unsubscribeOk', String(i)])
    }
  })

  it('stay unread while twice channelsPerConnection wait for canSubscribe, and are answered when it has answered', async () => {
    const { ask, goOn, asked } = heldCallback()
    // So few channels also mean few requests at once.
    const limits = { channelsPerConnection: 2, requestsPerSecond: Infinity }
    const { come, meanwhile } = await start({ canSubscribe: ask, limits })
    const alice = await come()
    await alice.peer.auth()
    const names = Array.from({ length: 50 }, () => channelName())
    for (const channel of names) await alice.peer.send({ __type: 'subscribe', channel })
    await until('the server to stop reading from alice', () => alice.socket.isPaused())
    await meanwhile()
    expect(asked()).toBe(4)
    goOn()
    const answers = await alice.peer.take(names.length)
    expect(answers.map(({ channel }) => channel).sort()).toEqual(names.sort())
    expect(answers.filter(({ __type }) => __type === 'subscribeOk')).toHaveLength(2)
  })

  it('stay unread while bufferedBytes of names wait for canSubscribe', async () => {
    const { ask, goOn, asked } = heldCallback()
    const { come, meanwhile } = await start({ canSubscribe: ask, limits: { channelBytes: 300_000 } })
    const alice = await come()
    await alice.peer.auth()
    for (let i = 0; i < 20; i++) await alice.peer.send({ __type: 'subscribe', channel: `${i} ${longName}` })
    await until('the server to stop reading from alice', () => alice.socket.isPaused())
    await meanwhile()
    expect(asked()).toBe(1)
    goOn()
    for (const { __type } of await alice.peer.take(20)) expect(__type).toBe('subscribeOk')
  })

  it('do not keep a connection open whose client has left', async () => {
    const { ask } = heldCallback()
    const { server, come } = await start({ canSubscribe: ask, limits: { channelsPerConnection: 1 } })
    const alice = await come()
    await alice.peer.auth()
    for (let i = 0; i < 10; i++) await alice.peer.send({ __type: 'subscribe', channel: channelName() })
    await until('the server to stop reading from alice', () => alice.socket.isPaused())
    await server.broadcaster.disconnect('everyone')
    expect((await alice.peer.closed).code).toBe(4403)
    await until('the socket to be gone', () => alice.socket.destroyed)
  })

  it('do not keep a connection open whose client closes it and then sends more', async () => {
    // Otherwise a sweep would end it some seconds later.
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    onTestFinished(() => void vi.useRealTimers())
    const { ask } = heldCallback()
    const { come } = await start({ canSubscribe: ask, limits: { channelsPerConnection: 1 } })
    const alice = await come()
    await alice.peer.auth()
    let wasPaused = false
    alice.socket.on('pause', () => (wasPaused = true))
    // The server gets all of it at once.
    const { _socket: socket } = alice.peer.socket as unknown as { readonly _socket: Socket }
    socket.cork()
    for (let i = 0; i < 10; i++) await alice.peer.send({ __type: 'subscribe', channel: channelName() })
    alice.peer.socket.close(1000)
    socket.write('x'.repeat(300_000))
    socket.uncork()
    await until('the socket to be gone', () => alice.socket.destroyed)
    expect(wasPaused, 'the server had stopped to read').toBe(true)
  })
})

it('A3: does not parse a first frame that is much larger than authBytes', async () => {
  const { come } = await start({ limits: { authBytes: 1000 } })
  const alice = await come()
  await alice.peer.send(`no JSON ${'x'.repeat(6000)}`)
  expect(await alice.peer.next()).toEqual({ __type: 'authError', reason: 'Auth too large' })
  expect((await alice.peer.closed).code).toBe(4401)
})
