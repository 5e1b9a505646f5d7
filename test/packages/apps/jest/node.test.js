const { BroadcasterClient, BroadcasterError } = require('@broadcaster/client')
const WebSocket = require('ws')
const { startServer } = require('./server.js')

let server

beforeAll(async () => {
  server = await startServer()
})

afterAll(() => server.close())

test.each(['websocket', 'longpoll'])('a message arrives over %s', async (mode) => {
  const client = new BroadcasterClient(server.url, { mode, WebSocket })
  const arrived = new Promise((resolve) => client.subscribe('news', resolve))
  const iterated = client.messages('news')[Symbol.asyncIterator]().next()
  await client.subscribe('news', () => {}).ready
  await server.publish('news', 'hello')
  expect(await arrived).toBe('hello')
  expect((await iterated).value.body).toBe('hello')
  expect(client.transport).toBe(mode)
  await client.disconnect()
})

test('an error is of the class that is exported', () => {
  expect(() => new BroadcasterClient('')).toThrow(BroadcasterError)
})
