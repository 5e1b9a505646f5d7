import type { Response } from 'express'
import { describe, expect, it } from 'vitest'
import { handshake, h2c, RawSocket, request } from '../support/rawSocket.ts'
import { startServer, type Setup, type TestServer } from '../support/server.ts'
import { tidy } from '../support/tidy.ts'
import { until } from '../support/waiting.ts'

// Frames as a client sends them that does not wait for the handshake's answer.
const auth = frame('{"__type":"auth","__v":1}')

function frame(text: string): Buffer {
  return Buffer.concat([Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0]), Buffer.from(text)])
}

function untilAlone({ httpServer }: TestServer): Promise<unknown> {
  const count = () =>
    new Promise<number>((resolve, reject) =>
      httpServer.getConnections((error, open) => (error ? reject(error) : resolve(open))),
    )
  return until('the server to have let go of the connection', async () => (await count()) === 0)
}

/** A server with a route, and with middleware before ours, that do not go on before the test says so. */
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

describe('a client that has said more before its upgrade was answered', () => {
  it('is let go of when it leaves while an earlier request of the connection is unanswered', async () => {
    const { server, held, raw } = await start()
    raw.write(request('GET /held'), handshake('/broadcast'), auth)
    await until('the request', () => held.length === 1)
    raw.socket.end()
    await untilAlone(server)
  })

  it('is let go of when it leaves while middleware is at work', async () => {
    const { server, stopped, raw } = await start()
    raw.write(handshake('/broadcast'))
    await until('the request', () => stopped.length === 1)
    raw.write(auth)
    raw.socket.end()
    await untilAlone(server)
  })

  it('is let go of when it sends more than it can have to say', async () => {
    const { server, held, raw } = await start()
    // Behind an unanswered request: a handshake that middleware keeps waiting would be ended soon by its own deadline.
    raw.write(request('GET /held'), handshake('/broadcast'))
    await until('the request', () => held.length === 1)
    raw.write(Buffer.alloc(100_000))
    await untilAlone(server)
  })

  it('is heard in order when the handshake is done', async () => {
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

describe('requests with a wish for another protocol', () => {
  it('show no connection twice to those who count them', async () => {
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
