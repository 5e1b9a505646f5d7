import { createTestBroadcaster } from '@broadcaster/testing'
import { render, screen } from '@testing-library/react'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Orders } from './Orders.jsx'

let broadcaster

beforeEach(() => {
  broadcaster = createTestBroadcaster({ client: { auth: { token: 'alice' } } })
})

afterEach(() => broadcaster.close())

function renderOrders() {
  render(<Orders />, { wrapper: broadcaster.wrapper })
}

const items = () => screen.queryAllByRole('listitem').map((item) => item.textContent)

test('shows orders as they change', async () => {
  renderOrders()
  await broadcaster.publish('orders', { id: 'a', state: 'new' })
  await broadcaster.publish('orders', { id: 'b', state: 'new' })
  await broadcaster.publish('orders', { id: 'a', state: 'paid' })
  expect(items()).toEqual(['b: new', 'a: paid'])
})

test('shows each order once, if a publisher repeats a message', async () => {
  renderOrders()
  await broadcaster.publish('orders', { id: 'a', state: 'new' })
  await broadcaster.duplicate('orders')
  expect(items()).toEqual(['a: new'])
})

test('says that it reconnects, and then shows what it missed', async () => {
  renderOrders()
  await broadcaster.settled()
  await broadcaster.drop()
  expect(screen.getByRole('status').textContent).toBe('Reconnecting')
  await broadcaster.publish('orders', { id: 'a', state: 'new' })
  expect(items()).toEqual([])
  await broadcaster.restore()
  expect(screen.queryByRole('status')).toBeNull()
  expect(items()).toEqual(['a: new'])
})

test('starts again after a gap', async () => {
  renderOrders()
  await broadcaster.publish('orders', { id: 'a', state: 'new' })
  await broadcaster.gap('orders', 'overflow')
  expect(items()).toEqual([])
})

test('says that the channel is refused', async () => {
  await broadcaster.refuse('orders')
  renderOrders()
  await broadcaster.settled()
  expect(screen.getByRole('alert').textContent).toBe('These orders are not yours')
})

test('subscribes with the credentials of the user, once', async () => {
  renderOrders()
  await broadcaster.settled()
  expect(broadcaster.sent('auth')).toMatchObject([{ token: 'alice' }])
  expect(broadcaster.subscriptions()).toEqual({ orders: 1 })
})

test('works with fake timers', async () => {
  vi.useFakeTimers()
  try {
    renderOrders()
    await broadcaster.settled()
    broadcaster.delay(2000)
    await broadcaster.publish('orders', { id: 'a', state: 'new' })
    await vi.advanceTimersByTimeAsync(1999)
    expect(items()).toEqual([])
    await vi.advanceTimersByTimeAsync(1)
    expect(items()).toEqual(['a: new'])
  } finally {
    vi.useRealTimers()
  }
})
