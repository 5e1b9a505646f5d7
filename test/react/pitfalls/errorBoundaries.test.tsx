import { BroadcasterProvider, useChannel, useChannelMessages } from '@broadcaster/react'
import { act, render } from '@testing-library/react'
import { Component, type ReactNode } from 'react'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { channelName } from '../../support/names.ts'
import { until } from '../../support/waiting.ts'
import { recordWire, renderApp, sees, startServer } from '../support.tsx'

class Boundary extends Component<{ children: ReactNode }> {
  static current: Boundary | undefined
  override state: { readonly error: Error | null } = { error: null }

  static getDerivedStateFromError(error: Error) {
    return { error }
  }

  override componentDidMount(): void {
    Boundary.current = this
  }

  static retry(): void {
    act(() => Boundary.current!.setState({ error: null }))
  }

  override render(): ReactNode {
    return this.state.error ? `failed: ${this.state.error.message}` : this.props.children
  }
}

function News({ name, label }: { name: string; label: string }) {
  const { messages, status } = useChannelMessages(name, { select: (body) => body })
  return <p>{`${label} ${status} [${messages.join(' ')}]`}</p>
}

/** Can not show the body "bad". */
function Fragile({ name }: { name: string }) {
  const { latest, status } = useChannel(name)
  if (latest?.body === 'bad') throw new Error('a bad message')
  return <p>{`fragile ${status} ${latest?.body}`}</p>
}

describe('error boundaries', () => {
  // React logs what a boundary catches.
  beforeEach(() => {
    const log = vi.spyOn(console, 'error').mockImplementation(() => {})
    return () => log.mockRestore()
  })

  it('a component that can not render a message is replaced, and all others go on', async () => {
    const news = channelName()
    const app = await renderApp([
      <Boundary key="fragile">
        <Fragile name={news} />
      </Boundary>,
      <News key="news" name={news} label="sturdy" />,
    ])
    await sees(app, 'fragile subscribed undefined')
    await sees(app, 'sturdy subscribed []')
    await app.server.publish(news, 'bad')
    await sees(app, 'failed: a bad message')
    await app.server.publish(news, 'good')
    await sees(app, 'sturdy subscribed [bad good]')

    // It begins again, so the message that it can not render does not come back.
    Boundary.retry()
    await sees(app, 'fragile subscribed undefined')
    await app.server.publish(news, 'better')
    await sees(app, 'fragile subscribed better')
    expect(app.wire.sent.map(({ __type }) => __type)).toEqual(['auth', 'subscribe'])
  })

  it('a channel whose only component fails is unsubscribed, and subscribed again by a retry', async () => {
    const news = channelName()
    const app = await renderApp(
      <Boundary>
        <Fragile name={news} />
      </Boundary>,
    )
    await sees(app, 'fragile subscribed')
    await app.server.publish(news, 'bad')
    await sees(app, 'failed')
    await until('the unsubscribe', () => app.wire.count('unsubscribe', news) === 1)
    Boundary.retry()
    await sees(app, 'fragile subscribed undefined')
    await app.server.publish(news, 'good')
    await sees(app, 'fragile subscribed good')
    expect(app.wire.connections).toBe(1)
  })

  it('a retry of a boundary around the provider is a new client, and the old connection ends', async () => {
    const server = await startServer()
    const [wire, news] = [recordWire(), channelName()]
    const app = render(
      <Boundary>
        <BroadcasterProvider url={server.url} {...wire.options}>
          <Fragile name={news} />
        </BroadcasterProvider>
      </Boundary>,
    )
    await sees(app, 'fragile subscribed')
    await server.publish(news, 'bad')
    await sees(app, 'failed')
    Boundary.retry()
    await sees(app, 'fragile subscribed undefined')
    await until('the old connection to end', async () => (await server.connections()) === 1)
    await server.publish(news, 'good')
    await sees(app, 'fragile subscribed good')
    expect(wire.connections).toBe(2)
  })

  it('wrong options of a provider reach the boundary, with a sentence', async () => {
    const app = render(
      <Boundary>
        <BroadcasterProvider url="/broadcast" timeout={-1}>
          nothing
        </BroadcasterProvider>
      </Boundary>,
    )
    expect(app.container.textContent).toMatch(/^failed: .*timeout/)
  })
})
