import { expect } from 'vitest'
import { makeClient, scriptedServer } from './scriptedServer.ts'

/** A client that fell back to long-poll because the server refused the WebSocket. */
export async function fallBack(options = {}, authOk: object = { __v: 1 }) {
  const server = await scriptedServer('refuse')
  const client = makeClient(server.url, options)
  const connected = client.connect()
  await server.handshake()
  await server.acceptSession('one', authOk)
  await connected
  expect(client.transport).toBe('longpoll')
  return { server, client }
}
