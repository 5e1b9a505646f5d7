import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { BroadcasterClient, type ClientOptions } from '@broadcaster/client'
import { BroadcasterProvider, useChannelMessages, useConnection } from '@broadcaster/react'
import { broadcaster } from '@broadcaster/server'
import { render } from '@testing-library/react'
import express from 'express'
import { StrictMode } from 'react'
import { it } from 'vitest'
import WebSocket from 'ws'
import { channelName } from '../support/names.ts'
import { closeServer } from '../support/server.ts'
import { tidy } from '../support/tidy.ts'
import { sees } from './support.tsx'

function News({ name }: { name: string }) {
  const { messages, status, error } = useChannelMessages(name, { select: (body) => body })
  const { transport } = useConnection()
  return `${transport} ${status} [${messages.join(' ')}] ${error?.message}`
}

// All other tests of the hooks use the server in memory of @broadcaster/testing.
it('shows what a real server publishes', async () => {
  const [news, secret] = [channelName(), channelName()]
  const live = broadcaster({
    redis: false,
    canSubscribe: (_auth, channel) => channel !== secret,
  })
  const server = createServer(express().use('/broadcast', live))
  live.attach(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  tidy({ close: () => live.close().then(() => closeServer(server)) })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/broadcast`

  const client = new BroadcasterClient(url, {
    mode: 'websocket',
    WebSocket: WebSocket as NonNullable<ClientOptions['WebSocket']>,
  })
  tidy({ close: () => client.disconnect() })
  const provide = (name: string) => (
    <StrictMode>
      <BroadcasterProvider client={client}>
        <News name={name} />
      </BroadcasterProvider>
    </StrictMode>
  )
  const app = render(provide(news))
  await sees(app, 'websocket subscribed')
  for (const body of ['one', 'two', 'three']) await live.publish(news, body)
  await sees(app, '[one two three]')
  app.rerender(provide(secret))
  await sees(app, 'refused [] Channel')
  await sees(app, 'Channel refused')
})
