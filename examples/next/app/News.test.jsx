import { createTestBroadcaster } from '@broadcaster/testing'
import { render, screen } from '@testing-library/react'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { News } from './News.jsx'

const router = { refresh: vi.fn() }
vi.mock('next/navigation', () => ({ useRouter: () => router }))

let broadcaster

beforeEach(() => {
  router.refresh.mockClear()
  broadcaster = createTestBroadcaster()
  render(<News stored={[{ id: '1', text: 'stored' }]} />, { wrapper: broadcaster.wrapper })
})

afterEach(() => broadcaster.close())

const headlines = () => screen.queryAllByRole('listitem').map((item) => item.textContent)

test('shows what is stored and what is published, each once', async () => {
  await broadcaster.publish('news', { id: '2', text: 'published' })
  await broadcaster.publish('news', { id: '1', text: 'stored' })
  expect(headlines()).toEqual(['stored', 'published'])
})

test('asks the server again after a gap', async () => {
  await broadcaster.settled()
  router.refresh.mockClear()
  await broadcaster.gap('news')
  expect(router.refresh).toHaveBeenCalledTimes(1)
})
