import { once } from 'node:events'
import net from 'node:net'
import type { AddressInfo } from 'node:net'
import { broadcaster } from '@broadcaster/server'
import express from 'express'
import { expect, it } from 'vitest'
import { launchChromium } from '../support/chromium.ts'
import { tidy } from '../support/tidy.ts'
import { bundleClient } from './clientScript.ts'

const script = await bundleClient()
const browser = tidy(await launchChromium())

/** A server behind a network that can block WebSockets: it neither forwards nor refuses them. */
async function startServer() {
  const network = { isBlocking: true, handshakes: 0 }
  const app = express()
  // A sandboxed frame has no origin.
  app.use('/broadcast', tidy(broadcaster({ redis: false, checkOrigin: () => true })))
  app.get('/client.js', (_request, response) => void response.type('js').send(script))
  app.get(
    '/',
    (_request, response) => void response.send('<!doctype html><script src="/client.js"></script>'),
  )
  const server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  tidy({ close: () => server.close().closeAllConnections() })

  const sockets = new Set<net.Socket>()
  const front = net.createServer((near) => {
    sockets.add(near)
    near.on('error', () => {})
    // Browsers open a separate connection for each WebSocket.
    near.once('data', (head) => {
      const isWebSocket = /^upgrade: websocket/im.test(head.toString('latin1'))
      if (isWebSocket) network.handshakes++
      if (isWebSocket && network.isBlocking) return
      const far = net.connect((server.address() as AddressInfo).port, '127.0.0.1')
      far.on('error', () => near.destroy())
      far.write(head)
      near.pipe(far).pipe(near)
    })
  })
  front.listen(0, '127.0.0.1')
  await once(front, 'listening')
  tidy({
    close: () => {
      for (const socket of sockets) socket.destroy()
      front.close()
    },
  })
  return Object.assign(network, { origin: `http://127.0.0.1:${(front.address() as AddressInfo).port}` })
}

it('in one tab only the first page waits for a blocked WebSocket, and the probe detects when WebSockets work', async () => {
  const network = await startServer()
  const page = await browser.newPage()
  /** Reloads the page and connects. Returns the transport. */
  const load = async () => {
    await page.goto(network.origin)
    return page.evaluate(async () => {
      const { BroadcasterClient } = (globalThis as any).broadcasterClient
      const client = ((globalThis as any).client = new BroadcasterClient('/broadcast'))
      await client.connect()
      return client.transport as string
    })
  }
  expect([await load(), network.handshakes]).toEqual(['longpoll', 1])
  expect([await load(), network.handshakes]).toEqual(['longpoll', 1])

  network.isBlocking = false
  await page.evaluate(async () => {
    const { client } = globalThis as any
    const isMoved = new Promise((resolve) => client.on('status', resolve))
    dispatchEvent(new Event('online'))
    await isMoved
  })
  expect(network.handshakes).toBe(2)
  expect([await load(), network.handshakes]).toEqual(['websocket', 3])

  // Another tab does not know that WebSockets are blocked.
  network.isBlocking = true
  const other = await browser.newPage()
  await other.goto(network.origin)
  expect(await other.evaluate(() => sessionStorage.length)).toBe(0)
})

it('if a page has no access to its storage, each page waits for the timeout itself', async () => {
  const network = await startServer()
  const page = await browser.newPage()
  await page.goto(network.origin)
  const outcome = await page.evaluate(async (client) => {
    const frame = document.createElement('iframe')
    frame.setAttribute('sandbox', 'allow-scripts')
    const told = new Promise<string>((resolve) => addEventListener('message', ({ data }) => resolve(data)))
    frame.srcdoc = `<script>${client}</script><script>
      let storage = 'open'
      try { sessionStorage } catch { storage = 'closed' }
      const client = new broadcasterClient.BroadcasterClient('/broadcast')
      client.connect().then(() => parent.postMessage(storage + ' ' + client.transport, '*'))
    </script>`
    document.body.append(frame)
    return told
  }, script)
  expect(outcome).toBe('closed longpoll')
})
