import http from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { broadcaster } from '@broadcaster/server'
import express from 'express'
import { describe, expect, it } from 'vitest'
import { WebSocketServer } from 'ws'
import { signIn } from '../support/connect.ts'
import { collectLogs } from '../support/logs.ts'
import { handshake, RawSocket } from '../support/rawSocket.ts'
import { closeServer } from '../support/server.ts'
import { tidy } from '../support/tidy.ts'
import { within } from '../support/waiting.ts'

const create = () => {
  const { logger, loud } = collectLogs()
  return { live: broadcaster({ redis: false, logger }), loud }
}

/** The listeners and properties that a broadcaster could add to a server. */
const additions = (server: http.Server) => ({
  listeners: server.eventNames().map((name) => [name, server.listenerCount(name)]),
  own: Object.keys(server).filter((key) => key === 'emit'),
  decides: (server as { shouldUpgradeCallback?: unknown }).shouldUpgradeCallback,
})

async function listen(server: http.Server) {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  tidy({ close: () => closeServer(server) })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/broadcast` }
}

async function upgradeStatus(at: { url: string }, path = '/broadcast'): Promise<number> {
  const raw = await RawSocket.open(at)
  raw.write(handshake(path))
  return raw.status()
}

describe('close()', () => {
  it.each([
    ['attached', (server: http.Server, live: ReturnType<typeof broadcaster>) => live.attach(server)],
    [
      'attached twice',
      (server: http.Server, live: ReturnType<typeof broadcaster>) => [
        live.attach(server),
        live.attach(server),
      ],
    ],
  ])('restores a server to which it was %s', async (_, attach) => {
    const { live, loud } = create()
    const app = express().use('/broadcast', live)
    const server = http.createServer(app)
    const before = additions(server)
    attach(server, live)
    expect(additions(server)).not.toEqual(before)
    const at = await listen(server)
    await signIn({ ...at, publish: live.publish }, { transport: 'websocket' })
    await live.close()
    expect({ ...additions(server), listeners: [] }).toEqual({ ...before, listeners: [] })
    expect(server.listenerCount('upgrade')).toBe(0)
    expect(await upgradeStatus(at)).toBe(503)
    live.attach(server)
    expect(server.listenerCount('upgrade'), 'it does not come back').toBe(0)
    expect(loud(), 'nobody is told to attach it').toEqual([])
  })

  it('restores a server of app.listen, also one that is created later', async () => {
    const { live } = create()
    const app = express().use('/broadcast', live)
    const server = app.listen(0, '127.0.0.1')
    await once(server, 'listening')
    tidy({ close: () => closeServer(server) })
    expect(server.listenerCount('upgrade')).toBe(1)
    await live.close()
    expect(server.listenerCount('upgrade')).toBe(0)
    const later = app.listen(0, '127.0.0.1')
    tidy({ close: () => closeServer(later) })
    expect(later.listenerCount('upgrade')).toBe(0)
  })

  it('does not change other listeners of the same server, or another broadcaster', async () => {
    const [news, chat] = [create().live, create().live]
    const server = http.createServer(express().use('/broadcast', news).use('/chat', chat))
    const others = new WebSocketServer({ server, path: '/theirs' })
    news.attach(server)
    chat.attach(server)
    tidy({ close: () => chat.close() })
    const at = await listen(server)
    await news.close()
    expect(await upgradeStatus(at, '/theirs')).toBe(101)
    const chatAt = { url: at.url.replace('/broadcast', '/chat'), publish: chat.publish }
    await signIn(chatAt, { transport: 'websocket' })
    await chat.close()
    expect(await upgradeStatus(at, '/theirs')).toBe(101)
    expect(server.listeners('upgrade')).toHaveLength(1)
    for (const client of others.clients) client.terminate()
  })

  it('passes on calls through a wrapper that other code has added meanwhile', async () => {
    const { live } = create()
    const server = http.createServer(express().use('/broadcast', live))
    live.attach(server)
    const seen: string[] = []
    const { emit } = server
    server.emit = function (this: http.Server, event: string, ...args: unknown[]) {
      seen.push(event)
      return Reflect.apply(emit, this, [event, ...args])
    } as typeof emit
    const at = await listen(server)
    await live.close()
    expect(await upgradeStatus(at)).toBe(503)
    expect(seen).toContain('request')
    server.on('upgrade', (_req, socket) => void socket.end('HTTP/1.1 418 Teapot\r\n\r\n'))
    expect(await upgradeStatus(at)).toBe(418)
  })

  it('refuses an infinite drain, and closes nothing', async () => {
    const { live } = create()
    for (const drain of [Infinity, NaN, -1, 2 ** 31]) {
      await expect(within(live.close({ drain }), 'close()')).rejects.toMatchObject({
        code: 'invalidOption',
        message: expect.stringContaining('close.drain'),
      })
    }
    await live.publish('news', 'still open')
    await live.close()
  })
})
