import type { Response } from 'express'
import { describe, expect, it } from 'vitest'
import { handshake, h2c, RawSocket, request } from '../support/rawSocket.ts'
import { startServer, type Setup, type TestServer } from '../support/server.ts'
import { tidy } from '../support/tidy.ts'
import { until } from '../support/waiting.ts'

// Frames of a client that does not wait for the answer to its handshake.
const auth = frame('{"__type":"auth","__v":1}')

function frame(text: string): Buffer {
  return Buffer.concat([Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0]), Buffer.from(text)])
}

function untilAlone({ httpServer }: TestServer): Promise<unknown> {
  const count = () =>
    new Promise<number>((resolve, reject) =>
      httpServer.getConnections((error, open) => (error ? reject(error) : resolve(open))),
    )
  return until('the server to release the connection', async () => (await count()) === 0)
}

/** A server with a route that does not answer, and with middleware before ours that does not call `next`, until the test does. */
async function start() {
  const held: Response[] = []
  const stopped: (() => void)[] = []
  const before: Setup['before'] = (app) => {
    app.get('/held', (_req, res) => void held.push(res))
    app.use('/broadcast', (_req, _res, next) => void stopped.push(next))
  }
  const server = tidy(await startServer({}, { before }))
  return { server, held, stopped, raw: await RawSocket.open(server) }
}

describe('a client that sends frames before its upgrade is answered', () => {
  it('is released when it leaves while an earlier request of the connection has no answer', async () => {
    const { server, held, raw } = await start()
    raw.write(request('GET /held'), handshake('/broadcast'), auth)
    await until('the request', () => held.length === 1)
    raw.socket.end()
    await untilAlone(server)
  })

  it('is released when it leaves while middleware runs', async () => {
    const { server, stopped, raw } = await start()
    raw.write(handshake('/broadcast'))
    await until('the request', () => stopped.length === 1)
    raw.write(auth)
    raw.socket.end()
    await untilAlone(server)
  })

  it('is disconnected when it sends more than any client needs', async () => {
    const { server, held, raw } = await start()
    // The handshake waits for an earlier request. If it waited for middleware, it would soon time out.
    raw.write(request('GET /held'), handshake('/broadcast'))
    await until('the request', () => held.length === 1)
    raw.write(Buffer.alloc(100_000))
    await untilAlone(server)
  })

  it('has its frames processed in order after the handshake', async () => {
    const { held, stopped, raw } = await start()
    raw.write(request('GET /held'), handshake('/broadcast'), auth.subarray(0, 9))
    await until('the request', () => held.length === 1)
    raw.write(auth.subarray(9, 20))
    held[0]!.end('at last')
    await until('the handshake', () => stopped.length === 1)
    raw.write(auth.subarray(20))
    stopped[0]!()
    await raw.readsTo('101 Switching Protocols')
    await raw.readsTo('authOk')
  })
})

describe('requests that offer another protocol', () => {
  it('emit only one `connection` event for each connection', async () => {
    const { server, raw } = await start()
    const seen: unknown[] = []
    server.httpServer.on('connection', (socket) => seen.push(socket))
    for (let i = 0; i < 12; i++) {
      raw.write(request('GET /nowhere', h2c))
      expect(await raw.readsTo('</html>\n')).toContain(' 404 ')
    }
    expect(seen).toEqual([])
  })
})
