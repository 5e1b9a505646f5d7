import type { BroadcasterOptions } from '@broadcaster/server'
import { describe, expect, it } from 'vitest'
import { waitingPoll } from '../support/barriers.ts'
import { stopClock, stopSweeps } from '../support/clock.ts'
import { LongPollPeer, post } from '../support/longPollPeer.ts'
import { channelName } from '../support/names.ts'
import { handshake, RawSocket } from '../support/rawSocket.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { tidy } from '../support/tidy.ts'
import { until } from '../support/waiting.ts'
import { HandshakeRefused, refusedHandshake, WebSocketPeer } from '../support/webSocketPeer.ts'

const start = async (options: BroadcasterOptions = {}, trustProxy?: unknown) =>
  tidy(
    await startServer(
      { ...options, limits: { connectionsPerAddress: 2, ...options.limits } },
      { before: (app) => trustProxy !== undefined && app.set('trust proxy', trustProxy) },
    ),
  )

const from = (address: string) => ({ 'X-Forwarded-For': address })

/** Connects when there is room. */
function room(server: TestServer, headers = {}): Promise<WebSocketPeer> {
  return until('room', () =>
    WebSocketPeer.connect(server, { headers }).catch((error: unknown) => {
      if (error instanceof HandshakeRefused) return undefined
      throw error
    }),
  ) as Promise<WebSocketPeer>
}

describe('limits.connectionsPerAddress', () => {
  it('W10: answers 429 with Retry-After before the handshake, and accepts clients when there is room', async () => {
    const server = await start()
    const alice = await WebSocketPeer.connect(server)
    await alice.auth()
    const silent = await WebSocketPeer.connect(server)
    expect(await refusedHandshake(server)).toMatchObject({ status: 429, headers: { 'retry-after': '5' } })
    const refused = await post(server.url, { __type: 'auth' })
    expect(refused.status).toBe(429)
    expect(refused.headers.get('retry-after')).toBe('5')
    await silent.close()
    await room(server)
    expect(await alice.subscribe(channelName())).toMatchObject({ __type: 'subscribeOk' })
  })

  it('counts a session once, whether it polls or not, and only until it ends', async () => {
    const clock = stopClock()
    const server = await start({ timeout: 1000, limits: { requestsPerSecond: Infinity } })
    const alice = new LongPollPeer(server)
    await alice.auth()
    await waitingPoll(alice)
    expect(await alice.subscribe(channelName())).toMatchObject({ __type: 'subscribeOk' })
    const bob = await WebSocketPeer.connect(server)
    expect((await refusedHandshake(server)).status).toBe(429)
    await alice.close()
    clock.advance(10_000)
    await room(server)
    await bob.close()
  })

  it('counts connections as long as they are open', async () => {
    const clock = stopSweeps()
    const server = await start()
    const peers = [await WebSocketPeer.connect(server), await WebSocketPeer.connect(server)]
    for (const peer of peers) await peer.auth()
    clock.advance(10_000)
    expect((await refusedHandshake(server)).status).toBe(429)
  })

  it('does not count a session whose client has changed to a WebSocket', async () => {
    const server = await start()
    const alice = new LongPollPeer(server)
    await alice.auth({ __v: 1 })
    const again = await WebSocketPeer.connect(server)
    expect((await refusedHandshake(server)).status).toBe(429)
    await again.auth({ __v: 1, __previous: alice.token })
    await room(server)
  })

  it('does not count a refused request', async () => {
    const server = await start({ canConnect: () => false })
    for (let i = 0; i < 5; i++) {
      expect((await post(server.url, { __type: 'auth' })).status).toBe(401)
      expect((await post(server.url, 'nonsense')).status).toBe(401)
      expect((await post(server.url, { __type: 'ping', __token: 'none' })).status).toBe(401)
    }
    await WebSocketPeer.connect(server)
    await WebSocketPeer.connect(server)
  })

  it('counts a handshake while checkOrigin decides', async () => {
    let asked = 0
    const server = await start({
      checkOrigin: () => (asked++ < 2 ? new Promise<boolean>(() => {}) : true),
    })
    const sockets = [await RawSocket.open(server), await RawSocket.open(server)]
    for (const socket of sockets) socket.write(handshake('/broadcast'))
    await until('both to be asked', () => asked === 2)
    expect((await refusedHandshake(server)).status).toBe(429)
    sockets[0]!.socket.destroy()
    await room(server)
  })

  it('uses the address from the trust proxy setting of Express', async () => {
    const server = await start({}, 'loopback')
    for (const address of ['192.0.2.1', '192.0.2.2']) {
      for (let i = 0; i < 2; i++) await WebSocketPeer.connect(server, { headers: from(address) })
      expect((await refusedHandshake(server, { headers: from(address) })).status).toBe(429)
      expect((await post(server.url, { __type: 'auth' }, { headers: from(address) })).status).toBe(429)
    }
    expect(server.logs.loud()).toEqual([])
  })

  it.each([
    [
      'an IPv6 address and its neighbours of the same /64',
      '2001:db8:1:2::1',
      '2001:db8:1:2:ffff:ffff:ffff:2',
    ],
    ['IPv6 in different notations', '2001:db8::1', '2001:0DB8:0:0:1::'],
    ['IPv4, and the same inside IPv6', '192.0.2.1', '::ffff:192.0.2.1'],
    ['IPv4, and the same inside IPv6 in hex', '192.0.2.1', '0:0:0:0:0:ffff:c000:201'],
    ['IPv4 with ports, as some proxies write it', '192.0.2.1:4000', '192.0.2.1:4001'],
    ['IPv6 with ports', '[2001:db8::1]:4000', '[2001:db8::1]:4001'],
    ['IPv6 with zones', 'fe80::1%eth0', 'fe80::1%eth1'],
  ])('counts together: %s', async (_, one, other) => {
    const server = await start({}, true)
    await WebSocketPeer.connect(server, { headers: from(one) })
    await WebSocketPeer.connect(server, { headers: from(other) })
    expect((await refusedHandshake(server, { headers: from(one) })).status).toBe(429)
  })

  it.each([
    ['two networks of IPv6', '2001:db8:1:2::1', '2001:db8:1:3::1'],
    ['two addresses of IPv4 inside IPv6', '::ffff:192.0.2.1', '::ffff:192.0.2.2'],
    ['texts that are not addresses', 'unknown', 'hidden'],
  ])('counts separately: %s', async (_, one, other) => {
    const server = await start({}, true)
    for (const address of [one, other]) {
      for (let i = 0; i < 2; i++) await WebSocketPeer.connect(server, { headers: from(address) })
    }
  })

  it('does not limit clients behind a proxy that Express does not trust, and logs that once', async () => {
    const server = await start({ limits: { requestsPerSecond: 1 } })
    for (let i = 0; i < 10; i++) await WebSocketPeer.connect(server, { headers: from(`192.0.2.${i}`) })
    expect(server.logs.loud()).toEqual([expect.stringMatching(/'trust proxy'/)])
  })

  it('uses the result of addressOf', async () => {
    const server = await start({ addressOf: (req) => req.get('x-user') ?? null })
    for (const user of ['alice', 'bob', '192.0.2.1', '192.0.2.2']) {
      for (let i = 0; i < 2; i++) await WebSocketPeer.connect(server, { headers: { 'X-User': user } })
      expect((await refusedHandshake(server, { headers: { 'X-User': user } })).status).toBe(429)
    }
    for (let i = 0; i < 5; i++) await WebSocketPeer.connect(server)
  })

  it('calls addressOf once for each request', async () => {
    let calls = 0
    const server = await start({ addressOf: () => `client ${++calls}` })
    await (await WebSocketPeer.connect(server)).auth()
    expect(calls).toBe(1)
    expect((await post(server.url, { __type: 'auth' })).status).toBe(200)
    expect(calls).toBe(2)
  })

  it.each<[string, NonNullable<BroadcasterOptions['addressOf']>]>([
    [
      'throws',
      () => {
        throw new Error('no idea')
      },
    ],
    ['returns a number', () => 5 as unknown as string],
    ['returns an empty string', () => ''],
    ['is async', (async () => 'alice') as unknown as () => string],
  ])('uses req.ip if addressOf %s, and logs that once', async (_, addressOf) => {
    const server = await start({ addressOf })
    for (let i = 0; i < 2; i++) await WebSocketPeer.connect(server)
    expect((await refusedHandshake(server)).status).toBe(429)
    expect(server.logs.loud()).toEqual([expect.stringMatching(/"addressOfFailed","err":.*addressOf failed/)])
  })

  it('can be Infinity', async () => {
    const server = await start({ limits: { connectionsPerAddress: Infinity, requestsPerSecond: 1 } })
    for (let i = 0; i < 10; i++) await WebSocketPeer.connect(server)
    for (let i = 0; i < 10; i++) expect((await post(server.url, { __type: 'auth' })).status).toBe(200)
  })
})
