import { describe, expect, it } from 'vitest'
import { stopClock, stopSweeps } from '../support/clock.ts'
import { channelName } from '../support/names.ts'
import { handshake, RawSocket } from '../support/rawSocket.ts'
import { startServer } from '../support/server.ts'
import { tidy } from '../support/tidy.ts'
import { until } from '../support/waiting.ts'
import { refusedHandshake, WebSocketPeer } from '../support/webSocketPeer.ts'

describe('limits.unauthenticated', () => {
  it('drops the oldest silent connection for a new one, if it is older than a second', async () => {
    const clock = stopClock()
    const server = tidy(await startServer({ limits: { unauthenticated: 2 } }))
    const alice = await WebSocketPeer.connect(server)
    await alice.auth()
    const [first, second] = [await WebSocketPeer.connect(server), await WebSocketPeer.connect(server)]
    expect((await refusedHandshake(server)).status, 'both may be about to authenticate').toBe(503)
    clock.advance(1000)
    const bob = await WebSocketPeer.connect(server)
    expect(await first!.closed).toEqual({ code: 4408, reason: 'Auth timeout' })
    expect(await bob.auth()).toMatchObject({ __type: 'authOk' })
    expect(await second!.auth(), 'the other one is still there').toMatchObject({ __type: 'authOk' })
    expect(await alice.subscribe(channelName())).toMatchObject({ __type: 'subscribeOk' })
    for (let i = 0; i < 2; i++) await WebSocketPeer.connect(server)
  })

  it('first drops closed connections that have not ended, also if their clients send data', async () => {
    // The periodic work, which ends such connections later, does not run.
    const clock = stopSweeps()
    const server = tidy(await startServer({ limits: { unauthenticated: 1 } }))
    const raw = await RawSocket.open(server)
    raw.write(handshake('/broadcast'))
    expect(await raw.status()).toBe(101)
    // A binary frame with one space, which is not JSON.
    raw.write(Buffer.from([0x82, 0x81, 0, 0, 0, 0, 0x20]))
    await raw.readsTo('Invalid JSON')
    expect((await refusedHandshake(server)).status).toBe(503)
    clock.advance(1000)
    await WebSocketPeer.connect(server)
    await raw.ended()
  })

  it('keeps connections for which canConnect is running', async () => {
    const clock = stopClock()
    const answers: (() => void)[] = []
    const canConnect = () => new Promise<boolean>((resolve) => answers.push(() => resolve(true)))
    const server = tidy(await startServer({ limits: { unauthenticated: 2 }, canConnect }))
    const alice = await WebSocketPeer.connect(server)
    const answer = alice.auth()
    const silent = await WebSocketPeer.connect(server)
    await until('canConnect to be asked', () => answers.length > 0)
    clock.advance(60_000)
    await WebSocketPeer.connect(server)
    expect((await silent.closed).code).toBe(4408)
    expect((await refusedHandshake(server)).status).toBe(503)
    answers[0]!()
    expect(await answer).toMatchObject({ __type: 'authOk' })
    await WebSocketPeer.connect(server)
  })

  it('is a tenth of limits.connections, and at least 100', async () => {
    stopClock()
    const server = tidy(await startServer({ limits: { connections: 1100 } }))
    for (let i = 0; i < 110; i++) await WebSocketPeer.connect(server)
    expect((await refusedHandshake(server)).status).toBe(503)
  })
})
