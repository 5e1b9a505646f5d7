import { expect, it } from 'vitest'
import { textFrame } from '../soak/frames.ts'
import { channelName } from '../support/names.ts'
import { startNodeProcess } from '../support/nodeProcess.ts'
import { handshake, RawSocket } from '../support/rawSocket.ts'
import { startRedis } from '../support/redis.ts'
import { tidy } from '../support/tidy.ts'
import { until, within } from '../support/waiting.ts'

const bufferedBytes = 1024 * 1024
const body = 'b'.repeat(64_000)
const longName = 'n'.repeat(480)

/** Frames of one client to the server. */
const frames = (...messages: object[]) =>
  Buffer.concat(messages.map((message) => textFrame(JSON.stringify(message))))

it('R3: a client that has stopped reading and ends its connection does not stop the process', async () => {
  const redis = tidy(await startRedis())
  // A process of its own, because the fault was an endless loop.
  const node = tidy(
    await startNodeProcess({ redis: redis.url, limits: { bufferedBytes, requestsPerSecond: 100_000 } }),
  )
  // The node notices periodically that the buffer is over its limit. The connection has to end before that, which takes some tries.
  for (let attempt = 1; attempt <= 3; attempt++) {
    const channel = channelName()
    const socket = await RawSocket.open(node)
    socket.write(handshake('/broadcast'))
    await socket.readsTo('\r\n\r\n')
    socket.write(frames({ __type: 'auth', __v: 1 }, { __type: 'subscribe', channel }))
    await socket.readsTo('"subscribeOk"')
    socket.socket.pause()
    // Nearly as much as the limit waits in the process, ...
    await until('the buffer to be full', async () => {
      await node.publish(channel, body)
      return (await node.stats()).node.queuedBytes > bufferedBytes - 2 * body.length
    })
    // ... and with these answers more than that. Then the connection ends, and there is a message for it.
    const requests = Array.from({ length: 400 }, (_, i) => ({
      __type: 'unsubscribe',
      channel: longName + i,
    }))
    socket.write(frames(...requests))
    socket.socket.end()
    await until('the end to arrive', async () => (await node.stats()).node.queuedBytes > bufferedBytes)
    await node.publish(channel, body)
    const { node: after } = await within(node.stats(), 'an answer of the node')
    expect(after.isListening).toBe(true)
    socket.reset()
  }
})
