import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { channelName } from '../support/names.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { tidy } from '../support/tidy.ts'
import { within } from '../support/waiting.ts'
import { WebSocketPeer } from '../support/webSocketPeer.ts'

const texts = ['short', 'long '.repeat(20_000), 'short again']

async function hears(server: TestServer, peer: WebSocketPeer, bodies = texts): Promise<void> {
  const channel = channelName()
  await peer.auth()
  await peer.subscribe(channel)
  for (const body of bodies) await server.publish(channel, body)
  for (const body of bodies) expect((await peer.next())['body'] === body).toBe(true)
}

describe('the webSocket option', () => {
  it('compresses nothing by default', async () => {
    const server = tidy(await startServer())
    const alice = await WebSocketPeer.connect(server, { perMessageDeflate: true })
    expect(alice.socket.extensions).toBe('')
    await hears(server, alice)
  })

  it.each([true, { threshold: 100 }, { threshold: 0, serverNoContextTakeover: true as const }])(
    'compresses with perMessageDeflate: %j, for the clients that offer it',
    async (perMessageDeflate) => {
      const server = tidy(await startServer({ webSocket: { perMessageDeflate } }))
      const wants = await WebSocketPeer.connect(server, { perMessageDeflate: true })
      expect(wants.socket.extensions).toContain('permessage-deflate')
      await hears(server, wants)
      const wantsNot = await WebSocketPeer.connect(server, { perMessageDeflate: false })
      expect(wantsNot.socket.extensions).toBe('')
      await hears(server, wantsNot)
    },
  )

  it('sends messages that a client with a smaller window can inflate', async () => {
    const server = tidy(await startServer({ webSocket: { perMessageDeflate: { threshold: 0 } } }))
    const small = await WebSocketPeer.connect(server, { perMessageDeflate: { serverMaxWindowBits: 9 } })
    expect(small.socket.extensions).toContain('permessage-deflate')
    // With the usual window, the second half would refer to the first one, which a window of 512 bytes no longer contains.
    const half = randomBytes(10_000).toString('hex')
    await hears(server, small, [half + half])
  })

  it('chooses a subprotocol with handleProtocols', async () => {
    const server = tidy(
      await startServer({ webSocket: { handleProtocols: (protocols) => protocols.at(1)! } }),
    )
    const socket = new WebSocket(server.wsUrl, ['one', 'two'])
    await within(once(socket, 'open'), 'the handshake')
    expect(socket.protocol).toBe('two')
    socket.terminate()
  })
})
