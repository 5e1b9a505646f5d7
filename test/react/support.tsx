import type { ClientOptions, WebSocketLike } from '@broadcaster/client'
import { BroadcasterProvider } from '@broadcaster/react'
import { createTestBroadcaster, type TestBroadcaster } from '@broadcaster/testing'
import { render, type RenderResult } from '@testing-library/react'
import { StrictMode, type ReactNode } from 'react'
import { until } from '../support/waiting.ts'

export type LiveServer = {
  readonly url: string
  publish(channel: string, ...bodies: unknown[]): Promise<void>
  /** The `auth` that each connection sent. */
  readonly auths: Record<string, unknown>[]
  connections(): Promise<number>
}

/** The servers of this file, by their URL, each with its sockets. */
const servers = new Map<string, { readonly broadcaster: TestBroadcaster; readonly sockets: Socket[] }>()

/** A server in memory. It refuses the token "bad", and the channels in `refused`. */
export async function startServer(...refused: readonly string[]): Promise<LiveServer> {
  const auths: Record<string, unknown>[] = []
  const broadcaster = createTestBroadcaster({
    canConnect: (auth) => {
      auths.push({ ...auth })
      return auth['token'] !== 'bad'
    },
  })
  for (const channel of refused) await broadcaster.refuse(channel)
  const sockets: Socket[] = []
  servers.set(broadcaster.url, { broadcaster, sockets })
  return {
    url: broadcaster.url,
    publish: async (channel, ...bodies) => {
      await Promise.all(bodies.map((body) => broadcaster.publish(channel, body)))
    },
    auths,
    connections: async () => sockets.filter(({ readyState }) => readyState === 1).length,
  }
}

/** Ends all servers. Providers disconnect some time after they were unmounted. The page must exist until then. */
export async function stopServers(): Promise<void> {
  if (servers.size === 0) return
  const server = await startServer()
  const app = render(<BroadcasterProvider url={server.url} {...recordWire().options} />)
  await until('the last provider to connect', async () => (await server.connections()) === 1)
  app.unmount()
  await until('the last provider to disconnect', async () => (await server.connections()) === 0)
  for (const { broadcaster } of servers.values()) await broadcaster.close()
  servers.clear()
}

type Socket = WebSocketLike & { readonly readyState: number }
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
  const sockets: Socket[] = []
  /** A constructor whose result is the socket of the server with that URL. */
  function RecordingWebSocket(url: string): Socket {
    const server = servers.get(url.replace(/^ws/, 'http'))!
    const socket = new server.broadcaster.WebSocket(url) as Socket
    const send = socket.send.bind(socket)
    socket.send = (data) => {
      sent.push(JSON.parse(data))
      send(data)
    }
    sockets.push(socket)
    server.sockets.push(socket)
    return socket
  }
  return {
    options: {
      mode: 'websocket',
      WebSocket: RecordingWebSocket as unknown as NonNullable<ClientOptions['WebSocket']>,
    },
    get connections() {
      return sockets.length
    },
    sent,
    count: (type, channel) =>
      sent.filter((frame) => frame.__type === type && (channel === undefined || frame.channel === channel))
        .length,
    receive: (frames) => {
      for (const frame of frames) sockets.at(-1)!.onmessage!({ data: JSON.stringify(frame) })
    },
  }
}

type App = RenderResult & {
  readonly server: LiveServer
  readonly wire: Wire
  /** Renders other children below the same provider. */
  show(children: ReactNode): void
}

/** Starts a server that refuses these channels, and renders the children below a provider in StrictMode. */
export async function renderApp(children: ReactNode, ...refused: readonly string[]): Promise<App> {
  const server = await startServer(...refused)
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
