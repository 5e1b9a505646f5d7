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

// Providers let go of their connection some time after they were unmounted: the page must not be gone before.
afterAll(async () => {
  if (typeof document === 'undefined') return
  const server = await startServer()
  const app = render(<BroadcasterProvider url={server.url} {...recordWire().options} />)
  await until('the last provider to connect', async () => (await server.connections()) === 1)
  app.unmount()
  await until('the last provider to let go', async () => (await server.connections()) === 0)
  await Promise.all(closings.map((close) => close()))
})

const closings: (() => Promise<void>)[] = []

export type LiveServer = {
  readonly url: string
  publish(channel: string, ...bodies: unknown[]): Promise<void>
  /** What each connection sent as `auth`. */
  readonly auths: Record<string, unknown>[]
  connections(): Promise<number>
}

/** A real server in this process. It refuses the token "bad", and channels whose name begins with "secret". */
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

/** The client's `WebSocket` option, and what goes over all sockets made by it. */
export type Wire = {
  readonly options: Pick<ClientOptions, 'WebSocket' | 'mode'>
  readonly connections: number
  /** Every frame that the client sent. */
  readonly sent: readonly Frame[]
  /** How many frames of a type it sent, for a channel if one is given. */
  count(type: string, channel?: string): number
  /** Hands frames to the client now, as if the server had sent them in one packet. */
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
  /** Renders something else below the same provider. */
  show(children: ReactNode): void
}

/** Renders below a provider, in StrictMode, with a server of its own. */
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
