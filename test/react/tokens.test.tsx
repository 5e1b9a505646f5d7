import { useChannel, useChannelMessages, useConnection } from '@broadcaster/react'
import { createTestBroadcaster } from '@broadcaster/testing'
import { render } from '@testing-library/react'
import { expect, it } from 'vitest'
import { tidy } from '../support/tidy.ts'

function setUp({ mode = 'websocket' as 'websocket' | 'longpoll' } = {}) {
  let token = 'good'
  const tokens: unknown[] = []
  const broadcaster = tidy(
    createTestBroadcaster({
      client: { mode, auth: async () => ({ token }) },
      canConnect: (auth) => {
        tokens.push(auth['token'])
        return auth['token'] !== 'bad'
      },
    }),
  )
  const renders = { channel: 0, connection: 0 }
  function News() {
    renders.channel++
    const { status } = useChannel('news')
    const { messages } = useChannelMessages('news', { select: (body) => body })
    return `${status} [${messages.join(' ')}]`
  }
  function Connection() {
    renders.connection++
    const { status, error } = useConnection()
    return ` ${status} ${error?.code}`
  }
  const app = render(
    <>
      <News />
      <Connection />
    </>,
    { wrapper: broadcaster.wrapper },
  )
  return {
    app,
    broadcaster,
    renders,
    tokens,
    next: (value: string) => {
      token = value
    },
  }
}

it.each(['websocket', 'longpoll'] as const)(
  'A8: a component with a channel does not render when the token ends, over %s',
  async (mode) => {
    const { app, broadcaster, renders, tokens, next } = setUp({ mode })
    await broadcaster.publish('news', 'one')
    expect(app.container.textContent).toBe('subscribed [one] connected undefined')
    const before = { ...renders }
    next('new')
    await broadcaster.expire()
    expect(tokens).toEqual(['good', 'new'])
    expect(app.container.textContent).toBe('subscribed [one] connected undefined')
    expect(renders.channel).toBe(before.channel)
    expect(renders.connection).toBeGreaterThan(before.connection)
    await broadcaster.publish('news', 'two')
    expect(app.container.textContent).toBe('subscribed [one two] connected undefined')
  },
)

it('shows that the new token is refused', async () => {
  const { app, broadcaster, next } = setUp()
  await broadcaster.publish('news', 'one')
  next('bad')
  await broadcaster.expire()
  expect(app.container.textContent).toBe('error [one] disconnected unauthorized')
})
