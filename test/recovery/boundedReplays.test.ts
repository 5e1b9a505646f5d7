import type { Socket } from 'node:net'
import { expect, it } from 'vitest'
import { signIn } from '../support/connect.ts'
import type { Wire } from '../support/inbox.ts'
import { channelName } from '../support/names.ts'
import { startServer } from '../support/server.ts'
import { tidy } from '../support/tidy.ts'
import type { WebSocketPeer } from '../support/webSocketPeer.ts'

const bufferedBytes = 100_000

/** A server whose sockets the test can see, and a function that connects a client. */
async function start() {
  const sockets: Socket[] = []
  const server = tidy(await startServer({ limits: { bufferedBytes } }))
  server.httpServer.on('connection', (socket) => sockets.push(socket))
  const come = async () =>
    (await signIn(server, { transport: 'websocket', auth: { __v: 1 } })) as WebSocketPeer
  return { server, sockets, come }
}

const numbered = (count: number) => Array.from({ length: count }, (_, i) => `${i} ${'x'.repeat(1000)}`)

/** The bodies of all messages of a channel, replayed and live, in order. */
function bodies(messages: readonly Wire[], channel: string): string[] {
  return messages
    .filter((message) => message['channel'] === channel)
    .flatMap((message) =>
      message.__type === 'message'
        ? [message['body'] as string]
        : ((message['messages'] ?? []) as [string, string][]).map(([body]) => body),
    )
}

it('R3: a replay that fits into bufferedBytes is in subscribeOk', async () => {
  const { server, come } = await start()
  const channel = channelName()
  const alice = await come()
  const { position } = await alice.subscribe(channel)
  const published = numbered(50)
  for (const body of published) await server.publish(channel, body)
  await alice.take(published.length)
  const bob = await come()
  const answer = await bob.subscribe(channel, { position })
  expect(answer).toMatchObject({ recovered: true })
  expect(bodies([answer], channel)).toEqual(published)
})

it('R3: a larger replay follows subscribeOk as messages, complete, and live messages come after it', async () => {
  const { server, come } = await start()
  const channel = channelName()
  const alice = await come()
  const { position } = await alice.subscribe(channel)
  const published = numbered(400)
  for (const body of published) await server.publish(channel, body)
  await alice.take(published.length)
  const bob = await come()
  const answer = await bob.subscribe(channel, { position })
  expect(answer).toEqual({ __type: 'subscribeOk', channel, recovered: true, position })
  await server.publish(channel, 'live')
  expect(await bob.bodies(channel, published.length + 1)).toEqual([...published, 'live'])
  await bob.hearsNothing()
})

it('R3: the replays of all channels that a client requests at once are bounded together', async () => {
  const { server, sockets, come } = await start()
  const names = Array.from({ length: 100 }, () => channelName())
  const alice = await come()
  const positions = new Map<string, unknown>()
  const published = numbered(80)
  for (const name of names) {
    positions.set(name, (await alice.subscribe(name))['position'])
    for (const body of published) await server.publish(name, body)
    await alice.take(published.length)
  }
  const bob = await come()
  const socket = sockets.at(-1)!
  let most = 0
  const { write } = socket
  // The buffer is measured after every write, so that no peak is missed.
  socket.write = function (this: Socket, ...args: Parameters<Socket['write']>) {
    const result = write.apply(this, args)
    most = Math.max(most, socket.writableLength)
    return result
  } as Socket['write']
  bob.stall()
  for (const [channel, position] of positions) await bob.send({ __type: 'subscribe', channel, position })
  // These requests take longer than all answers together. 8 MB were missed.
  for (let i = 0; i < 50; i++) await alice.unsubscribe('x')
  bob.resume()
  const heard: Wire[] = []
  const total = names.length * published.length
  let count = 0
  while (count < total) {
    const message = await bob.next()
    heard.push(message)
    count += bodies([message], message['channel'] as string).length
  }
  for (const name of names) expect(bodies(heard, name)).toEqual(published)
  expect(heard.filter(({ recovered }) => recovered === false)).toEqual([])
  expect(most).toBeLessThan(2 * bufferedBytes)
})
