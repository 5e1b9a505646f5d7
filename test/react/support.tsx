import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { ClientOptions } from '@broadcaster/client'
import { BroadcasterProvider } from '@broadcaster/react'
import { broadcaster } from '@broadcaster/server'
import { cleanup, render, type RenderResult } from '@testing-library/react'
import express from 'express'
import { StrictMode, type ReactNode } from 'react'
import { afterAll, afterEach } from 'vitest'
import WebSocket from 'ws'
import { until } from '../support/waiting.ts'

afterEach(cleanup)

// Providers disconnect some time after they were unmounted. The page must exist until then.
afterAll(async () => {
  if (typeof document === 'undefined') return
  const server = await startServer()
  const app = render(<BroadcasterProvider url={server.url} {...recordWire().options} />)
  await until('the last provider to connect', async () => (await server.connections()) === 1)
  app.unmount()
  await until('the last provider to disconnect', async () => (await server.connections()) === 0)
  await Promise.all(closings.map((close) => close()))
})

const closings: (() => Promise<void>)[] = []

export type LiveServer = {
  readonly url: string
  publish(channel: string, ...bodies: unknown[]): Promise<void>
  /** The `auth` that each connection sent. */
  readonly auths: Record<string, unknown>[]
  connections(): Promise<number>
}

/** A real server in this process. It refuses the token "bad", and channels whose name starts with "secret". */
export async function startServer(): Promise<LiveServer> {
  const auths: Record<string, unknown>[] = []
  const live = broadcaster({
    redis: false,
    canConnect: (auth) => {
      auths.push({ ...auth })
      return auth['token'] !== 'bad'
    },
    canSubscribe: (_auth, channel) => !channel.startsWith('secret'),
  })
  const server = createServer(express().use('/broadcast', live))
  live.attach(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closings.push(async () => {
    await live.close()
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/broadcast`,
    publish: async (channel, ...bodies) => {
      await Promise.all(bodies.map((body) => live.publish(channel, body)))
    },
    auths,
    connections: async () => (await live.stats()).connections,
  }
}

type Frame = { readonly __type: string; readonly channel?: string; readonly [field: string]: unknown }

/** A `WebSocket` option for the client. It records what is sent over its sockets. */
export type Wire = {
  readonly options: Pick<ClientOptions, 'WebSocket' | 'mode'>
  readonly connections: number
  /** Every frame that the client sent. */
  readonly sent: readonly Frame[]
  /** How many frames of a type the client sent, for the channel if one is given. */
  count(type: string, channel?: string): number
  /** Passes frames to the client now, as if the server had sent them in one packet. */
  receive(frames: readonly Frame[]): void
}

export function recordWire(): Wire {
  const sent: Frame[] = []
  const sockets: WebSocket[] = []
  class RecordingWebSocket extends WebSocket {
    constructor(url: string) {
      super(url)
      sockets.push(this)
    }

    override send(data: string): void {
      sent.push(JSON.parse(data))
      super.send(data)
    }
  }
  return {
    options: { mode: 'websocket', WebSocket: RecordingWebSocket as NonNullable<ClientOptions['WebSocket']> },
    get connections() {
      return sockets.length
    },
    sent,
    count: (type, channel) =>
      sent.filter((frame) => frame.__type === type && (channel === undefined || frame.channel === channel))
        .length,
    receive: (frames) => {
      for (const frame of frames) sockets.at(-1)!.emit('message', Buffer.from(JSON.stringify(frame)), false)
    },
  }
}

type App = RenderResult & {
  readonly server: LiveServer
  readonly wire: Wire
  /** Renders other children below the same provider. */
  show(children: ReactNode): void
}

/** Starts a server, and renders the children below a provider in StrictMode. */
export async function renderApp(children: ReactNode): Promise<App> {
  const server = await startServer()
  const wire = recordWire()
  const whole = (inner: ReactNode) => (
    <StrictMode>
      <BroadcasterProvider url={server.url} {...wire.options}>
        {inner}
      </BroadcasterProvider>
    </StrictMode>
  )
  const result = render(whole(children))
  return { ...result, server, wire, show: (inner) => result.rerender(whole(inner)) }
}

/** Resolves when the page shows the text. */
export async function sees(app: { container: Element }, text: string): Promise<void> {
  await until(`the page to show "${text}", which shows "${app.container.textContent}"`, () =>
    app.container.textContent?.includes(text),
  )
}
