/** @jest-environment node */
import { createTestBroadcaster } from '@broadcaster/testing/client'

// The broadcaster is not closed here. It is closed after the last test.
test('a client without React', async () => {
  const { client, publish, drop, restore } = createTestBroadcaster()
  const heard = []
  client.subscribe('news', (body) => heard.push(body))
  await publish('news', 'one')
  await drop()
  await publish('news', 'two')
  await restore()
  expect(heard).toEqual(['one', 'two'])
})

test('a client without React, with fake timers', async () => {
  jest.useFakeTimers()
  const { client, publish, delay } = createTestBroadcaster()
  const heard = []
  client.subscribe('news', (body) => heard.push(body))
  await publish('news', 'one')
  delay(1000)
  await publish('news', 'two')
  await jest.advanceTimersByTimeAsync(999)
  expect(heard).toEqual(['one'])
  await jest.advanceTimersByTimeAsync(1)
  expect(heard).toEqual(['one', 'two'])
  jest.useRealTimers()
})
