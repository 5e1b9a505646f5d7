import express, {
  type Express,
  type NextFunction,
  type Request,
  type RequestHandler,
  type Response,
} from 'express'
import { once } from 'node:events'
import { describe, expect, it } from 'vitest'
import { signIn } from '../support/connect.ts'
import { LongPollPeer, post } from '../support/longPollPeer.ts'
import { channelName } from '../support/names.ts'
import { handshake, RawSocket, request } from '../support/rawSocket.ts'
import { startServer } from '../support/server.ts'
import { tidy } from '../support/tidy.ts'
import { watchUncaught } from '../support/uncaught.ts'
import { until, within } from '../support/waiting.ts'
import { refusedHandshake } from '../support/webSocketPeer.ts'

// Middleware of the application that changes a request or its response before the broadcaster gets it.

async function start(before: (app: Express) => void, options = {}) {
  const uncaught = watchUncaught()
  const server = tidy(await startServer(options, { before }))
  return { uncaught, server, worksStill: async () => void (await signIn(server, { transport: 'longpoll' })) }
}

const auth = '{"__type":"auth","name":"Zoë 🦊"}'
const head = request('POST /broadcast', { 'Content-Length': String(Buffer.byteLength(auth)) })

/** Posts a body in pieces. It sends each piece when the one before has been read. */
async function postInPieces(server: { url: string }, pieces: Buffer[]) {
  const raw = await RawSocket.open(server)
  raw.socket.setNoDelay(true)
  raw.write(head)
  for (const piece of pieces) {
    raw.write(piece)
    // When another request has been answered, the server has read the piece.
    await fetch(new URL('/', server.url))
  }
  return raw
}

/** A body in two pieces, which split a character of four bytes. */
function pieces(): Buffer[] {
  const bytes = Buffer.from(auth)
  const inFox = bytes.indexOf(0xf0) + 2
  return [bytes.subarray(0, 9), bytes.subarray(9, inFox), bytes.subarray(inFox)]
}

describe('the body of a request', () => {
  it.each<[what: string, middleware: RequestHandler]>([
    ['unchanged', (_req, _res, next) => next()],
    ...(['utf8', 'latin1', 'hex', 'base64'] as const).map((encoding): [string, RequestHandler] => [
      `as ${encoding}`,
      (req, _res, next) => {
        req.setEncoding(encoding)
        next()
      },
    ]),
    [
      'with another listener',
      (req, _res, next) => {
        req.on('data', () => {})
        next()
      },
    ],
    [
      'with a parser that has begun',
      (req, res, next) => {
        express.json({ type: () => true })(req, res, () => {})
        next()
      },
    ],
    [
      'paused, by middleware that takes time',
      (req, _res, next) => {
        req.pause()
        setTimeout(next, 20)
      },
    ],
    ['parsed', express.json({ type: () => true })],
    ['as text', express.text({ type: () => true })],
    ['as a buffer', express.raw({ type: () => true })],
    ['with a parser of another type', express.json({ type: 'application/vnd.api+json' })],
    [
      'in a parser that has begun and has not ended',
      (req, res, next) => {
        req.once('data', () => next())
        express.json({ type: () => true })(req, res, () => {})
      },
    ],
    [
      'as a stream, by middleware that puts it into req.body',
      async (req, _res, next) => {
        let text = ''
        for await (const part of req) text += String(part)
        req.body = text
        next()
      },
    ],
  ])('is read in pieces: %s', async (_, middleware) => {
    const seen: unknown[] = []
    const canConnect = (auth: { name?: unknown }) => {
      seen.push(auth.name)
      return true
    }
    const { uncaught, server, worksStill } = await start((app) => app.use('/broadcast', middleware), {
      canConnect,
    })
    const raw = await postInPieces(server, pieces())
    expect(await raw.readsTo(']')).toMatch(/^HTTP\/1\.1 200[^]*"authOk"/)
    // With an encoding of the middleware, the stream may have split the fox itself.
    expect(String(seen[0])).toMatch(/^Zoë /)
    expect(uncaught).toEqual([])
    await worksStill()
  })

  it.each<[what: string, read: RequestHandler]>([
    ['as a stream', (req, _res, next) => void req.resume().on('end', () => next())],
    ['in part', (req, _res, next) => void req.once('data', () => next())],
    [
      'by a parser that has failed',
      (req, res, next) => express.json({ type: () => true, limit: 10 })(req, res, () => next()),
    ],
  ])('that middleware has read %s is reported in the log, once', async (_, read) => {
    let isReading = true
    const { uncaught, server, worksStill } = await start((app) =>
      app.use('/broadcast', (req, res, next) =>
        isReading && req.method === 'POST' ? read(req, res, next) : next(),
      ),
    )
    for (let i = 0; i < 3; i++) {
      const raw = await postInPieces(server, pieces())
      expect(await raw.status()).toBe(500)
    }
    expect(server.logs.loud('req.body')).toHaveLength(1)
    expect(uncaught).toEqual([])
    isReading = false
    await worksStill()
  })

  it('that is too large is refused, by its Content-Length or when it has arrived', async () => {
    const { server, worksStill } = await start(() => {}, { limits: { messageBytes: 1000 } })
    const raw = await RawSocket.open(server)
    raw.write(request('POST /broadcast', { 'Content-Length': '1000000' }))
    expect(await raw.status()).toBe(413)
    const chunked = await RawSocket.open(server)
    chunked.write(request('POST /broadcast', { 'Transfer-Encoding': 'chunked' }))
    for (let i = 0; i < 2; i++) chunked.write(`258\r\n${'x'.repeat(600)}\r\n`)
    expect(await chunked.status(), 'not waiting for its end').toBe(413)
    await worksStill()
  })

  it.each<[what: string, line: string, headers: Record<string, string>, status: number]>([
    ['is too large', 'POST /broadcast', {}, 413],
    ['has a Content-Length that is too large', 'POST /broadcast', { 'Content-Length': '1000000000' }, 413],
    ['is from a refused origin', 'POST /broadcast', { Origin: 'https://evil.example' }, 403],
    ['is compressed', 'POST /broadcast', { 'Content-Encoding': 'gzip' }, 415],
    ['has an unsupported method', 'PUT /broadcast', {}, 405],
  ])('that %s is not read to its end, and the connection ends', async (_, line, headers, status) => {
    const { server, worksStill } = await start(() => {}, { limits: { messageBytes: 1000 } })
    const raw = await RawSocket.open(server, { allowHalfOpen: true })
    const isChunked = headers['Content-Length'] === undefined
    raw.write(request(line, { ...headers, ...(isChunked && { 'Transfer-Encoding': 'chunked' }) }))
    const piece = 'x'.repeat(2048)
    // It sends until the server ends the connection.
    const send = setInterval(() => raw.write(isChunked ? `800\r\n${piece}\r\n` : piece), 10)
    tidy({ close: () => clearInterval(send) })
    const answer = await raw.readsTo('\r\n\r\n')
    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} [^]*\r\nConnection: close\r\n`))
    await raw.ended()
    await worksStill()
  })

  it('that is small and refused leaves the connection open for the next request', async () => {
    const { server } = await start(() => {}, { limits: { messageBytes: 1000 } })
    const raw = await RawSocket.open(server)
    for (let i = 0; i < 3; i++) {
      raw.write(request('POST /broadcast', { Origin: 'https://evil.example' }, '{}'))
      expect(await raw.status()).toBe(403)
    }
  })

  it('that is too large gets an answer without a reset, so that the client can read the reason', async () => {
    const { server } = await start(() => {}, { limits: { messageBytes: 1000 } })
    const raw = await RawSocket.open(server, { allowHalfOpen: true })
    const ended = once(raw.socket, 'end')
    const closed = once(raw.socket, 'close')
    raw.write(request('POST /broadcast', { 'Content-Length': '1000000000' }))
    expect(await raw.status()).toBe(413)
    await within(ended, 'the end of the answer')
    raw.write('x'.repeat(2048))
    // When another request has been answered, a reset would have arrived and would make the next write fail.
    await fetch(new URL('/', server.url))
    raw.socket.end('x'.repeat(2048))
    expect(await within(closed, 'the end of the connection'), 'without an error').toEqual([false])
  })

  it.each(['/below', '/health', '//', '/%2e'])('to %s goes to the application', async (path) => {
    const { server } = await start(() => {})
    server.app.post('/broadcast/below', (_req, res) => void res.send('theirs'))
    const raw = await RawSocket.open(server)
    raw.write(request(`POST /broadcast${path}`, {}, '{"__type":"auth"}'))
    expect(await raw.status()).toBe(path === '/below' ? 200 : 404)
  })
})

describe('a response', () => {
  it('that middleware has begun is ended', async () => {
    const { uncaught, server } = await start((app) =>
      app.use('/broadcast', (_req, res, next) => {
        res.writeHead(200, { 'X-Theirs': 'yes' })
        next()
      }),
    )
    const answer = await fetch(server.url, { method: 'POST', body: '{"__type":"auth"}' })
    expect(answer.headers.get('x-theirs')).toBe('yes')
    expect(await answer.json()).toMatchObject([{ __type: 'authOk' }])
    const raw = await RawSocket.open(server)
    raw.write(handshake('/broadcast'))
    expect(await raw.readsTo('\r\n\r\n')).toMatch(/^HTTP\/1\.1 200[^]*X-Theirs: yes/)
    await raw.ended()
    expect(uncaught).toEqual([])
  })

  it.each(['POST', 'GET', 'OPTIONS'])(
    'that middleware has broken causes an error of %s, also after an asynchronous checkOrigin',
    async (method) => {
      const { uncaught, server } = await start(
        (app) =>
          app.use('/broadcast', (_req, res, next) => {
            const { end } = res
            const broken = () => {
              throw Object.assign(new Error('broken by middleware'), { status: 418 })
            }
            res.end = () => {
              res.end = end
              return broken()
            }
            next()
          }),
        { checkOrigin: async () => false },
      )
      server.app.set('env', 'test')
      const headers = { Origin: 'https://app.example' }
      expect((await post(server.url, '', { method, headers })).status).toBe(418)
      expect((await refusedHandshake(server, { headers })).status).toBe(418)
      expect(uncaught).toEqual([])
    },
  )

  it('that middleware has ended stays as it is', async () => {
    const { uncaught, server } = await start((app) =>
      app.use('/broadcast', (_req, res, next) => {
        res.status(202).send('theirs')
        next()
      }),
    )
    const answer = await fetch(server.url, { method: 'POST', body: '{"__type":"auth"}' })
    expect([answer.status, await answer.text()]).toEqual([202, 'theirs'])
    const raw = await RawSocket.open(server)
    raw.write(handshake('/broadcast'))
    expect(await raw.readsTo('theirs')).toMatch(/^HTTP\/1\.1 202/)
    await raw.ended()
    expect(uncaught).toEqual([])
  })

  it('that a timeout of middleware sends instead of the answer to a poll loses no message of the poll', async () => {
    const limits: (() => void)[] = []
    const { uncaught, server } = await start(
      (app) =>
        app.use('/broadcast', (_req, res, next) => {
          limits.push(() => res.headersSent || res.status(503).send('too slow'))
          next()
        }),
      { pollTime: 0 },
    )
    const channel = channelName()
    const alice = new LongPollPeer(server)
    await alice.auth()
    await alice.subscribe(channel)
    const before = limits.length
    const poll = alice.post({ __type: 'poll', seq: '1', __token: alice.token })
    await until('the poll', () => limits.length > before)
    limits.at(-1)!()
    expect((await poll).status).toBe(503)
    await server.publish(channel, 'hello')
    // When another request has been answered, a poll that was still waiting would have received the message.
    await fetch(new URL('/', server.url))
    const { messages } = await alice.post({ __type: 'poll', seq: '2', __token: alice.token })
    expect(messages).toMatchObject([{ __type: 'message', body: 'hello' }])
    expect(uncaught).toEqual([])
  })

  it("whose write throws in middleware goes to the application's error handler", async () => {
    const { uncaught, server } = await start((app) =>
      app.use('/broadcast', (_req, res, next) => {
        const writeHead = res.writeHead.bind(res)
        res.writeHead = ((...args: Parameters<typeof writeHead>) => {
          if (res.statusCode === 500) return writeHead(...args)
          throw new Error('an invalid header')
        }) as typeof res.writeHead
        next()
      }),
    )
    const errors: unknown[] = []
    server.app.use((error: unknown, _req: Request, res: Response, _next: NextFunction) => {
      errors.push(error)
      res.status(500).send('theirs')
    })
    const answer = await fetch(server.url, { method: 'POST', body: '{"__type":"auth"}' })
    expect([answer.status, await answer.text()]).toEqual([500, 'theirs'])
    expect(errors).toMatchObject([{ message: 'an invalid header' }])
    expect(uncaught).toEqual([])
  })
})

describe('limits.totalBufferedBytes', () => {
  it('bounds the bodies that are being received, and is free again when their clients are gone', async () => {
    const server = tidy(await startServer({ limits: { totalBufferedBytes: 100_000 } }))
    const part = 'x'.repeat(40_000)
    const sendHalf = async () => {
      const raw = await RawSocket.open(server)
      raw.write(request('POST /broadcast', { 'Content-Length': '60000' }) + part)
      return raw
    }
    const refused = () =>
      server.logs.lines.filter(({ text }) => text.includes('too many bodies are being received')).length
    const raws: RawSocket[] = []
    for (let i = 0; i < 5; i++) raws.push(await sendHalf())
    await until('a refusal', () => refused() > 0)
    for (const raw of raws) raw.socket.destroy()
    const isAnswered = async () => {
      const raw = await sendHalf()
      // Another request has been answered when the server has read the first part.
      await fetch(new URL('/', server.url))
      raw.write('x'.repeat(20_000))
      return (await raw.status()) === 401
    }
    await until('room for a body', isAnswered)
  })
})

it('a refused request whose body has arrived leaves the connection open', async () => {
  const before = (app: Express) =>
    void app.use((req, _res, next) => void until('the body', () => req.complete).then(() => next()))
  const server = tidy(await startServer({}, { before }))
  const raw = await RawSocket.open(server)
  for (let i = 0; i < 2; i++) {
    raw.write(request('PUT /broadcast', { 'Transfer-Encoding': 'chunked' }), '1\r\nx\r\n0\r\n\r\n')
    expect(await raw.status()).toBe(405)
  }
})
