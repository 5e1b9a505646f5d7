import http from 'node:http'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { broadcaster } from '@broadcaster/server'
import express from 'express'
import { Server as SocketIoServer } from 'socket.io'
import { io } from 'socket.io-client'
import { createServer as createViteServer, type ViteDevServer } from 'vite'
import { describe, expect, it } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import { signIn } from '../support/connect.ts'
import { channelName } from '../support/names.ts'
import { closeServer } from '../support/server.ts'
import { transports, type Subject } from '../support/subject.ts'
import { tidy } from '../support/tidy.ts'
import { within } from '../support/waiting.ts'

async function serve(prepare: (server: http.Server, app: express.Express) => Promise<void> | void) {
  const app = express()
  const live = broadcaster({ redis: false, pollTime: 20 })
  app.use('/broadcast', live)
  const server = http.createServer(app)
  live.attach(server)
  await prepare(server, app)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  tidy({ close: () => live.close().then(() => closeServer(server)) })
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const subject: Subject = {
    url: `${origin}/broadcast`,
    publish: (channel, body) => live.publish(channel, body),
  }
  return { origin, works: () => works(subject) }
}

async function works(subject: Subject): Promise<void> {
  for (const transport of transports) {
    const channel = channelName()
    const alice = await signIn(subject, { transport })
    await alice.subscribe(channel)
    await subject.publish(channel, 'ours')
    expect(await alice.next()).toEqual({ __type: 'message', channel, body: 'ours' })
  }
}

describe('on the same HTTP server', () => {
  it.each(['websocket', 'polling'] as const)('Socket.IO keeps working over %s', async (transport) => {
    const { origin, works } = await serve((server) => {
      const theirs = tidy(new SocketIoServer(server))
      theirs.on('connection', (socket) => socket.on('echo', (text, reply) => reply(`theirs: ${text}`)))
    })
    await works()
    const client = io(origin, { transports: [transport], reconnection: false })
    tidy({ close: () => client.disconnect() })
    expect(await client.timeout(15_000).emitWithAck('echo', 'hello')).toBe('theirs: hello')
    await works()
    expect(await client.timeout(15_000).emitWithAck('echo', 'again')).toBe('theirs: again')
  })

  it("Vite's hot module replacement keeps working", async () => {
    const root = await mkdtemp(join(tmpdir(), 'broadcaster-vite-'))
    tidy({ close: () => rm(root, { recursive: true, force: true }) })
    await writeFile(join(root, 'index.html'), '<script type="module" src="/main.js"></script>')
    await writeFile(join(root, 'main.js'), 'import.meta.hot.accept(); console.log(1)')
    let vite: ViteDevServer | undefined
    const { origin, works } = await serve(async (server, app) => {
      vite = await createViteServer({
        root,
        configFile: false,
        logLevel: 'silent',
        server: { middlewareMode: true, hmr: { server }, watch: null },
        appType: 'spa',
      })
      tidy(vite)
      app.use(vite.middlewares)
    })
    await works()
    const client = await (await fetch(`${origin}/@vite/client`)).text()
    const token = /wsToken = "([^"]+)"/.exec(client)?.[1] ?? ''
    const socket = new WebSocket(`${origin.replace('http', 'ws')}/?token=${token}`, 'vite-hmr')
    tidy({ close: () => socket.terminate() })
    const heard: { type: string }[] = []
    socket.on('message', (data) => heard.push(JSON.parse(String(data)) as { type: string }))
    await within(new Promise((resolve) => socket.on('message', resolve)), "Vite's greeting")
    expect(heard[0]).toEqual({ type: 'connected' })
    const reload = new Promise((resolve) => socket.on('message', resolve))
    vite!.ws.send({ type: 'full-reload' })
    await within(reload, 'a reload')
    expect(heard[1]).toEqual({ type: 'full-reload' })
    await works()
  })

  it('another WebSocket server keeps working, whichever came first', async () => {
    const { origin, works } = await serve((server) => {
      const theirs = new WebSocketServer({ noServer: true })
      server.on('upgrade', (request, socket, head) => {
        if (request.url !== '/theirs') return
        theirs.handleUpgrade(request, socket, head, (client) => {
          client.on('message', (data) => client.send(`theirs: ${String(data)}`))
        })
      })
    })
    const socket = new WebSocket(`${origin.replace('http', 'ws')}/theirs`)
    tidy({ close: () => socket.terminate() })
    const heard = new Promise((resolve) => socket.on('message', (data) => resolve(String(data))))
    socket.on('open', () => socket.send('hello'))
    expect(await within(heard, 'their answer')).toBe('theirs: hello')
    await works()
  })
})
