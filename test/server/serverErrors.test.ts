import { parseClientMessage } from '@broadcaster/protocol'
import { expect, it } from 'vitest'
import { RedisBackend } from '../../server/src/backends/redis.ts'
import { plainCodec } from '../../server/src/control/codec.ts'
import { BroadcasterError } from '../../server/src/errors.ts'
import { MemoryBackend } from '../../server/src/backends/memory.ts'
import { ClientAbort } from '../../server/src/longpoll/clientAbort.ts'
import { Node } from '../../server/src/node/node.ts'
import { resolveOptions } from '../../server/src/options.ts'
import type { Authenticate } from '../../server/src/clients/access.ts'
import type { Link } from '../../server/src/websocket/link.ts'
import { Inbox, type Wire } from '../support/inbox.ts'
import { collectLogs } from '../support/logs.ts'
import { channelName } from '../support/names.ts'
import { startRedis } from '../support/redis.ts'
import { startServer } from '../support/server.ts'
import { signIn } from '../support/connect.ts'
import { tidy } from '../support/tidy.ts'

/** The server's end of a WebSocket, whose write throws when the test wants it, like a bug in the server. */
class BreakableLink implements Link {
  readonly isCompressing = false
  readonly bufferedBytes = 0
  readonly sentBytes = 0
  readonly address = null
  readonly inbox = new Inbox()
  /** The write of the next frame that contains this text throws. */
  breaksAt: string | null = null

  write(frame: Buffer): void {
    const text = frame.toString('utf8', frame[1]! < 126 ? 2 : 4)
    if (this.breaksAt !== null && text.includes(this.breaksAt)) {
      this.breaksAt = null
      throw new TypeError('A bug in the code')
    }
    this.inbox.push(JSON.parse(text) as Wire)
  }

  onDrained(callback: () => void): void {
    setImmediate(callback)
  }

  pause(): void {}
  resume(): void {}
  terminate(): void {}
  ping(): void {}
  endIfClosing(): void {}

  close(code: number, reason: string): void {
    this.inbox.push({ __type: 'closed', code, reason })
  }
}

async function start(breakBackend: (backend: MemoryBackend) => void = () => {}) {
  const logs = collectLogs()
  const options = resolveOptions({ redis: false, logger: logs.logger })
  const { controlChannel, timeout: timeoutMs } = options
  const backend = new MemoryBackend({ controlChannel, timeoutMs })
  breakBackend(backend)
  const node = new Node(options, backend)
  await node.start()
  tidy({ close: () => node.close(0) })
  const link = new BreakableLink()
  const authenticate: Authenticate = async (auth) => ({
    isAllowed: true,
    auth,
    context: undefined,
    endsAt: Infinity,
  })
  const connection = node.connect(link, authenticate)
  const send = async (request: object) => {
    const parsed = parseClientMessage(JSON.stringify(request))
    const { status, body } = await node.handle(parsed, authenticate, new ClientAbort(), node.revocations.now)
    return { status, messages: JSON.parse(body) as Wire[] }
  }
  return { node, link, connection, logs, send }
}

it('S1: a bug while a channel is subscribed is logged, and the client gets a serverError', async () => {
  const { node, link, connection, logs } = await start()
  const channel = channelName()
  connection.receive('{"__type":"auth"}')
  await link.inbox.take('authOk', ({ __type }) => __type === 'authOk')
  link.breaksAt = 'subscribeOk'
  const subscribe = JSON.stringify({ __type: 'subscribe', channel })
  connection.receive(subscribe)
  const answer = await link.inbox.take('an answer')
  expect(answer).toEqual({ __type: 'serverError', channel, reason: 'Server error' })
  expect(logs.loud()).toEqual([expect.stringContaining('A bug in the code')])
  expect((await node.stats()).localSubscriptions, 'it is not subscribed').toEqual({})
  connection.receive(subscribe)
  expect(await link.inbox.take('an answer')).toEqual({ __type: 'subscribeOk', channel })
})

it('a bug while a client authenticates is logged, and closes its connection with 1011', async () => {
  const { link, connection, logs } = await start()
  link.breaksAt = 'authOk'
  connection.receive('{"__type":"auth"}')
  expect(await link.inbox.take('an answer')).toEqual({ __type: 'closed', code: 1011, reason: 'Server error' })
  expect(logs.loud()).toEqual([expect.stringContaining('A bug in the code')])
})

it('S1: an unavailable Redis is not logged as a bug of the server', async () => {
  const redis = tidy(await startRedis())
  const server = tidy(await startServer({ redis: redis.url }))
  const alice = await signIn(server, { transport: 'websocket' })
  await redis.stop()
  await server.logs.waitFor('Redis is away')
  const channel = channelName()
  const answer = await alice.subscribe(channel)
  expect(answer).toEqual({ __type: 'serverError', channel, reason: 'Broker unavailable' })
  expect(server.logs.loud('A request of a client failed')).toEqual([])
})

it('L10, S1: a bug while a long-poll request is handled is logged, and answered with 500 and a serverError', async () => {
  const { send, logs } = await start(({ sessions }) => {
    sessions.reserve = async () => {
      throw new TypeError('A bug in the code')
    }
    sessions.unsubscribe = () => Promise.reject(new BroadcasterError('brokerUnavailable', 'Redis is away'))
  })
  const { messages } = await send({ __type: 'auth' })
  const { __token } = messages[0]!
  const channel = channelName()
  expect(await send({ __type: 'subscribe', __token, channel })).toEqual({
    status: 500,
    messages: [{ __type: 'serverError', channel, reason: 'Server error' }],
  })
  expect(logs.loud()).toEqual([expect.stringContaining('A bug in the code')])
  expect(await send({ __type: 'unsubscribe', __token, channel }), 'only the broker is unavailable').toEqual({
    status: 503,
    messages: [{ __type: 'serverError', channel, reason: 'Broker unavailable' }],
  })
})

it('a bug while channels are subscribed at the broker is logged as an error, and the subscribe is repeated', async () => {
  const { node, logs } = await start((backend) => {
    const { subscribe } = backend
    backend.subscribe = (channels) => {
      backend.subscribe = subscribe
      throw new TypeError(`A bug in the code, with ${channels.length} channels`)
    }
  })
  expect((await node.stats()).node.isListening).toBe(true)
  expect(logs.loud()).toEqual([expect.stringContaining('A bug in the code')])
})

it('a bug in the Redis backend is not an error of Redis', async () => {
  const redis = tidy(await startRedis())
  const { logger } = collectLogs()
  const {
    controlChannel,
    controlNamespace,
    timeout: timeoutMs,
  } = resolveOptions({ redis: redis.url, logger })
  const target = { redis: redis.url, pubSub: redis.url, controlChannel, controlNamespace, timeoutMs }
  const backend = tidy(new RedisBackend({ ...target, logger, codec: plainCodec }))
  const name = channelName()
  const ignored = { message: () => {}, up: () => {}, down: () => {}, moved: () => {} }
  await backend.start({ opened: () => ignored, closed: () => {}, rearranged: () => true })
  const broker = backend.brokerOf(name)!
  expect(await broker.countHolders([name])).toEqual([0])
  await expect(broker.countHolders(null as never)).rejects.toThrow(TypeError)
})
