import { describe, expect, it, vi } from 'vitest'
import { fakePage, stopTime } from './fakeTime.ts'
import { collect, connectWebSocket, reaches } from './scriptedServer.ts'

const PING = { __type: 'ping' }
const PONG = { __type: 'pong' }

/** A connection, and a way to wait until what the server sent so far has arrived. */
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

describe('a WebSocket that goes quiet', () => {
  it('is asked with a ping after every pingInterval', async () => {
    stopTime()
    const { client, socket, arrive } = await connectWithMarker({ pingInterval: 20_000 })
    for (let round = 0; round < 3; round++) {
      vi.advanceTimersByTime(20_000)
      expect(await socket.next()).toEqual(PING)
      socket.send(PONG)
      await arrive()
      vi.advanceTimersByTime(19_999)
      expect(socket.pending).toEqual([])
      // Whatever comes puts the next ping off no further than that.
      vi.advanceTimersByTime(1)
      expect(await socket.next()).toEqual(PING)
      await arrive()
    }
    expect(client.status).toBe('connected')
  })

  it('is taken for dead when nothing answers the ping for ten seconds', async () => {
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
      message: 'The server answered no ping within 10000 ms',
    })
    await vi.advanceTimersByTimeAsync(500)
    await server.accept()
    await reaches(client, 'connected')
  })

  it('is given one interval when that is less than ten seconds', async () => {
    stopTime()
    const { client } = await connectWebSocket({ pingInterval: 2_000 })
    vi.advanceTimersByTime(3_999)
    expect(client.status).toBe('connected')
    vi.advanceTimersByTime(1)
    expect(client.status).toBe('reconnecting')
  })

  it('is alive when anything comes, be it a pong or not', async () => {
    stopTime()
    const { client, socket, arrive } = await connectWithMarker()
    vi.advanceTimersByTime(30_000)
    await socket.next('ping')
    await arrive()
    vi.advanceTimersByTime(29_999)
    expect(client.status).toBe('connected')
  })

  it('is only kept alive by pings where the server knows no pong', async () => {
    stopTime()
    const { client, socket } = await connectWebSocket({}, {})
    for (let round = 0; round < 3; round++) {
      vi.advanceTimersByTime(30_000)
      expect(await socket.next()).toEqual(PING)
    }
    expect(client.status).toBe('connected')
  })

  it('is asked at once, and with less patience, when the page is seen again', async () => {
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

  it('is asked at once when the network is back, once, and stays when it answers', async () => {
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
