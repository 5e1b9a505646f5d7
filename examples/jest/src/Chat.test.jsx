import { createTestBroadcaster } from '@broadcaster/testing'
import { act, render, screen } from '@testing-library/react'
import { Chat } from './Chat.jsx'

const lines = () => screen.queryAllByRole('listitem').map((item) => item.textContent)
const status = () => screen.getByRole('status').textContent

describe.each(['websocket', 'longpoll'])('over %s', (mode) => {
  let broadcaster

  beforeEach(() => {
    broadcaster = createTestBroadcaster({ client: { mode }, canConnect: ({ user }) => user !== 'mallory' })
  })

  afterEach(() => broadcaster.close())

  test('shows the messages of its room', async () => {
    render(<Chat room="42" />, { wrapper: broadcaster.wrapper })
    await broadcaster.publish('room:42', 'hello')
    await broadcaster.publish('room:43', 'not here')
    expect(lines()).toEqual(['hello'])
  })

  test('moves to another room', async () => {
    const { rerender } = render(<Chat room="42" />, { wrapper: broadcaster.wrapper })
    await broadcaster.publish('room:42', 'hello')
    rerender(<Chat room="43" />)
    await broadcaster.publish('room:43', 'welcome')
    expect(lines()).toEqual(['welcome'])
  })

  test('marks a gap', async () => {
    render(<Chat room="42" />, { wrapper: broadcaster.wrapper })
    await broadcaster.publish('room:42', 'one')
    await broadcaster.gap('room:42', 'node')
    await broadcaster.publish('room:42', 'two')
    expect(lines()).toEqual(['one', 'Some messages are missing', 'two'])
  })

  test('loses nothing when the session expires and the network drops', async () => {
    render(<Chat room="42" />, { wrapper: broadcaster.wrapper })
    await broadcaster.publish('room:42', 'one')
    await broadcaster.expire()
    await broadcaster.publish('room:42', 'two')
    await broadcaster.drop()
    expect(status()).toBe('subscribing')
    await broadcaster.publish('room:42', 'three')
    await broadcaster.restore()
    expect(lines()).toEqual(['one', 'two', 'three'])
  })

  test('works with fake timers', async () => {
    jest.useFakeTimers()
    try {
      render(<Chat room="42" />, { wrapper: broadcaster.wrapper })
      await broadcaster.publish('room:42', 'one')
      broadcaster.delay(1000)
      await broadcaster.publish('room:42', 'two')
      expect(lines()).toEqual(['one'])
      // And the next frame, with which a message is rendered.
      await act(() => jest.advanceTimersByTimeAsync(1020))
      expect(lines()).toEqual(['one', 'two'])
    } finally {
      jest.useRealTimers()
    }
  })
})

test('a user who is not welcome sees why', async () => {
  const broadcaster = createTestBroadcaster({
    client: { auth: { user: 'mallory' } },
    canConnect: ({ user }) => user !== 'mallory',
  })
  render(<Chat room="42" />, { wrapper: broadcaster.wrapper })
  await broadcaster.settled()
  expect(screen.getByRole('alert').textContent).toBe('unauthorized')
})
