import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { startServer } from '../support/server.ts'
import { tidy } from '../support/tidy.ts'
import { WebSocketPeer } from '../support/webSocketPeer.ts'

describe('W8: a compressed frame over messageBytes closes with 1009, with which clients do not send the same again', () => {
  const hex = randomBytes(150_000).toString('hex')
  it.each<[string, string]>([
    ['a little over, with much repetition', ' '.repeat(65_537)],
    ['far over, with much repetition', ' '.repeat(20_000_000)],
    ['a little over, with little repetition', hex],
    ['far over, with distant repetition', hex.slice(0, 30_000).repeat(100)],
  ])('%s', async (_, text) => {
    const server = tidy(await startServer({ webSocket: { perMessageDeflate: true } }))
    const peer = await WebSocketPeer.connect(server, { perMessageDeflate: { threshold: 0 } })
    await peer.auth()
    await peer.send(text)
    expect((await peer.closed).code).toBe(1009)
  })

  it('in small fragments', async () => {
    const server = tidy(await startServer({ webSocket: { perMessageDeflate: true } }))
    const peer = await WebSocketPeer.connect(server, { perMessageDeflate: { threshold: 0 } })
    await peer.auth()
    for (let i = 0; i < 10; i++) peer.socket.send(' '.repeat(100_000), { fin: false })
    expect((await peer.closed).code).toBe(1009)
  })

  it('one within messageBytes is read, and so is the next one', async () => {
    const server = tidy(await startServer({ webSocket: { perMessageDeflate: true } }))
    const peer = await WebSocketPeer.connect(server, { perMessageDeflate: { threshold: 0 } })
    await peer.auth()
    for (let i = 0; i < 20; i++) {
      await peer.send(`{"__type":"unsubscribe","channel":"${i}"${' '.repeat(60_000)}}`)
      expect(await peer.next()).toEqual({ __type: 'unsubscribeOk', channel: String(i) })
    }
  })
})
