// @vitest-environment node
import { BroadcasterProvider, useChannel, useChannelMessages, useConnection } from '@broadcaster/react'
import { StrictMode } from 'react'
import { renderToString } from 'react-dom/server'
import { expect, it } from 'vitest'
import { recordWire } from './support.tsx'

function News() {
  const { status, latest } = useChannel('news', () => {})
  const { messages } = useChannelMessages('news')
  const { status: connection } = useConnection()
  const { status: nothing } = useChannel(null)
  return <p>{[status, latest, messages.length, connection, nothing].join(' ')}</p>
}

it('renders on a server without a window, and does not connect', async () => {
  expect(typeof window).toBe('undefined')
  const wire = recordWire()
  const html = renderToString(
    <StrictMode>
      <BroadcasterProvider url="/broadcast" {...wire.options}>
        <News />
      </BroadcasterProvider>
    </StrictMode>,
  )
  expect(html).toBe('<p>subscribing  0 idle idle</p>')
  await new Promise((resolve) => setTimeout(resolve))
  expect(wire.connections).toBe(0)
})
