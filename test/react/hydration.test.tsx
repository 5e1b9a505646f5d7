import { BroadcasterClient } from '@broadcaster/client'
import { BroadcasterProvider, useChannel, useChannelMessages, useConnection } from '@broadcaster/react'
import { act, render } from '@testing-library/react'
import { StrictMode, type ReactElement } from 'react'
import { hydrateRoot } from 'react-dom/client'
import { renderToString } from 'react-dom/server'
import { expect, it, vi } from 'vitest'
import { channelName } from '../support/names.ts'
import { tidy } from '../support/tidy.ts'
import { until } from '../support/waiting.ts'
import { recordWire, sees, startServer } from './support.tsx'

function News({ name }: { name: string }) {
  const { status, latest } = useChannel(name)
  const { messages } = useChannelMessages(name)
  const { status: connection } = useConnection()
  return <p>{`${status} ${latest?.body} ${messages.length} ${connection}`}</p>
}

/** Renders on the "server" and hydrates in the "browser". Fails on any error that React reports. */
async function hydrate(tree: ReactElement): Promise<{ container: HTMLElement; html: string }> {
  const complaints = vi.spyOn(console, 'error')
  const onRecoverableError = vi.fn()
  const container = document.createElement('div')
  document.body.append(container)
  const html = (container.innerHTML = renderToString(tree))
  const element = container.firstElementChild
  const root = hydrateRoot(container, tree, { onRecoverableError })
  tidy({
    close: () => {
      act(() => root.unmount())
      container.remove()
      complaints.mockRestore()
    },
  })
  await until('hydration', () => Object.keys(element!).some((key) => key.startsWith('__reactFiber')))
  expect(container.firstElementChild).toBe(element)
  expect(onRecoverableError).not.toHaveBeenCalled()
  expect(complaints).not.toHaveBeenCalled()
  return { container, html }
}

it('hydrates server-rendered HTML without a mismatch, and then connects', async () => {
  const server = await startServer()
  const news = channelName()
  const wire = recordWire()
  const page = await hydrate(
    <StrictMode>
      <BroadcasterProvider url={server.url} {...wire.options}>
        <News name={news} />
      </BroadcasterProvider>
    </StrictMode>,
  )
  expect(page.html).toBe('<p>subscribing undefined 0 idle</p>')
  await sees(page, 'subscribed undefined 0 connected')
  await server.publish(news, 'hello')
  await sees(page, 'subscribed hello 1 connected')
  expect(wire.connections).toBe(1)
  expect(wire.count('subscribe')).toBe(1)
})

it('hydrates without a mismatch also if the client was connected and subscribed before', async () => {
  const server = await startServer()
  const news = channelName()
  const client = new BroadcasterClient(server.url, recordWire().options)
  tidy({ close: () => client.disconnect() })
  await client.subscribe(news, () => {}).ready
  const page = await hydrate(
    <BroadcasterProvider client={client}>
      <News name={news} />
    </BroadcasterProvider>,
  )
  expect(page.html).toBe('<p>subscribing undefined 0 idle</p>')
  await sees(page, 'subscribed undefined 0 connected')
})

it('shows a channel as subscribed in the first frame if another component has subscribed it', async () => {
  const server = await startServer()
  const news = channelName()
  const client = new BroadcasterClient(server.url, recordWire().options)
  tidy({ close: () => client.disconnect() })
  await client.subscribe(news, () => {}).ready
  const app = render(
    <BroadcasterProvider client={client}>
      <News name={news} />
    </BroadcasterProvider>,
  )
  expect(app.container.textContent).toBe('subscribed undefined 0 connected')
})
