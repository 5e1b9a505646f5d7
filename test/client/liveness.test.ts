import { describe, expect, it, vi } from 'vitest'
import { fakePage, stopTime } from './fakeTime.ts'
import { collect, connectWebSocket, reaches } from './scriptedServer.ts'
import { sentence } from './sentence.ts'

const PING = { __type: 'ping' }
const PONG = { __type: 'pong' }

/** A connection, and a function that waits until everything that the server has sent so far has arrived. */
async function connectWithMarker(options = {}) {
  const { server, client, socket } = await connectWebSocket(options)
  const markers = collect()
  client.subscribe('marker', markers)
  await socket.confirm('marker')
  const arrive = () => {
    socket.send({ __type: 'message', channel: 'marker', body: '' })
    return markers.next()
  }
  await arrive()
  return { server, client, socket, arrive }
}

describe('a WebSocket without frames', () => {
  it('gets a ping after every pingInterval', async () => {
    stopTime()
    const { client, socket, arrive } = await connectWithMarker({ pingInterval: 20_000 })
    for (let round = 0; round < 3; round++) {
      vi.advanceTimersByTime(20_000)
      expect(await socket.next()).toEqual(PING)
      socket.send(PONG)
      await arrive()
      vi.advanceTimersByTime(19_999)
      expect(socket.pending).toEqual([])
      // A frame delays the next ping by at most one interval.
      vi.advanceTimersByTime(1)
      expect(await socket.next()).toEqual(PING)
      await arrive()
    }
    expect(client.status).toBe('connected')
  })

  it('P1: counts as dead when the ping has no answer within ten seconds', async () => {
    stopTime()
    const { server, client, socket } = await connectWebSocket()
    vi.advanceTimersByTime(30_000)
    expect(await socket.next()).toEqual(PING)
    vi.advanceTimersByTime(9_999)
    expect(client.status).toBe('connected')
    vi.advanceTimersByTime(1)
    expect(client.status).toBe('reconnecting')
    expect(client.error).toMatchObject({
      code: 'timeout',
      message: sentence('The server did not answer a ping within 10000 ms'),
    })
    await vi.advanceTimersByTimeAsync(500)
    await server.accept()
    await reaches(client, 'connected')
  })

  it('counts as dead after one interval when that is less than ten seconds', async () => {
    stopTime()
    const { client } = await connectWebSocket({ pingInterval: 2_000 })
    vi.advanceTimersByTime(3_999)
    expect(client.status).toBe('connected')
    vi.advanceTimersByTime(1)
    expect(client.status).toBe('reconnecting')
  })

  it('is alive when any frame arrives, not only a pong', async () => {
    stopTime()
    const { client, socket, arrive } = await connectWithMarker()
    vi.advanceTimersByTime(30_000)
    await socket.next('ping')
    await arrive()
    vi.advanceTimersByTime(29_999)
    expect(client.status).toBe('connected')
  })

  it('gets pings but does not count as dead when the server does not send pongs', async () => {
    stopTime()
    const { client, socket } = await connectWebSocket({}, {})
    for (let round = 0; round < 3; round++) {
      vi.advanceTimersByTime(30_000)
      expect(await socket.next()).toEqual(PING)
    }
    expect(client.status).toBe('connected')
  })

  it('gets a ping at once, with a shorter time limit, when the page is visible again', async () => {
    const page = fakePage()
    stopTime()
    const { client, socket } = await connectWebSocket()
    page.become('hidden')
    page.become('visible')
    expect(await socket.next()).toEqual(PING)
    vi.advanceTimersByTime(4_999)
    expect(client.status).toBe('connected')
    vi.advanceTimersByTime(1)
    expect(client.status).toBe('reconnecting')
  })

  it('gets one ping at once when the network is back, and stays open when the server answers', async () => {
    const page = fakePage()
    stopTime()
    const { client, socket, arrive } = await connectWithMarker()
    page.goOnline()
    page.goOnline()
    expect(await socket.next()).toEqual(PING)
    socket.send(PONG)
    await arrive()
    vi.advanceTimersByTime(29_999)
    expect(client.status).toBe('connected')
    expect(socket.pending).toEqual([])
  })
})
