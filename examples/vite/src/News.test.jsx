import { createTestBroadcaster } from '@broadcaster/testing'
import { render, screen } from '@testing-library/react'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { News } from './News.jsx'

let broadcaster

beforeEach(() => {
  broadcaster = createTestBroadcaster()
  render(<News />, { wrapper: broadcaster.wrapper })
})

afterEach(() => broadcaster.close())

const headlines = () => screen.queryAllByRole('listitem').map((item) => item.textContent)

test('shows what is published', async () => {
  await broadcaster.publish('news', 'one')
  await broadcaster.publish('weather', 'rain')
  await broadcaster.publish('news', 'two')
  expect(headlines()).toEqual(['one', 'two'])
})

test('shows what it missed while the network was down', async () => {
  await broadcaster.publish('news', 'one')
  await broadcaster.drop()
  expect(screen.getByRole('status').textContent).toBe('subscribing')
  await broadcaster.publish('news', 'two')
  await broadcaster.restore()
  expect(headlines()).toEqual(['one', 'two'])
})
