import { BroadcasterClient } from '@broadcaster/client'
import {
  BroadcasterProvider,
  useBroadcaster,
  useChannel,
  useChannelMessages,
  useConnection,
} from '@broadcaster/react'
import { render } from '@testing-library/react'
import * as React from 'react'
import { StrictMode, type ReactNode } from 'react'
import { describe, expect, it, vi } from 'vitest'
import { channelName } from '../support/names.ts'
import { onlyIf } from '../support/onlyIf.ts'
import { tidy } from '../support/tidy.ts'
import { until } from '../support/waiting.ts'
import { recordWire, renderApp, sees, startServer } from './support.tsx'

function Connection() {
  const { status, transport, error } = useConnection()
  return `${status} ${transport} ${error?.code}`
}

describe('<BroadcasterProvider url>', () => {
  it('connects when it is mounted, once in StrictMode, without any channel', async () => {
    const app = await renderApp(<Connection />)
    await sees(app, 'connected websocket undefined')
    expect(app.wire.connections).toBe(1)
    expect(app.wire.sent.map(({ __type }) => __type)).toEqual(['auth'])
  })

  it('disconnects after it was unmounted', async () => {
    const app = await renderApp(<Connection />)
    await sees(app, 'connected websocket')
    expect(await app.server.connections()).toBe(1)
    app.unmount()
    await until('the connection to end', async () => (await app.server.connections()) === 0)
  })

  it(
    'keeps its connection when the <Activity> around it is hidden and shown again',
    onlyIf('Activity' in React, '<Activity>, which React 18 does not have'),
    async () => {
      const server = await startServer()
      const wire = recordWire()
      const activity = (mode: 'visible' | 'hidden') => (
        <React.Activity mode={mode}>
          <BroadcasterProvider url={server.url} {...wire.options}>
            <Connection />
          </BroadcasterProvider>
        </React.Activity>
      )
      const app = render(activity('visible'))
      const isConnected = () => app.container.textContent?.startsWith('connected')
      await until('the connection', isConnected)
      app.rerender(activity('hidden'))
      app.rerender(activity('visible'))
      await until('the connection', isConnected)
      expect(wire.connections).toBe(1)
    },
  )

  it('provides the same client to all components below, on every render', async () => {
    const clients = new Set<BroadcasterClient>()
    function Collect() {
      clients.add(useBroadcaster())
      return null
    }
    const server = await startServer()
    const wire = recordWire()
    const tree = (
      <BroadcasterProvider url={server.url} {...wire.options}>
        <Collect />
        <Collect />
      </BroadcasterProvider>
    )
    const app = render(tree)
    app.rerender(<StrictMode>{tree}</StrictMode>)
    app.rerender(tree)
    app.unmount()
    expect([...clients].every((client) => client instanceof BroadcasterClient)).toBe(true)
  })

  it('sends the newest auth with the next connection, and a change of auth sends nothing', async () => {
    const server = await startServer()
    const wire = recordWire()
    let client!: BroadcasterClient
    function Grab() {
      client = useBroadcaster()
      return <Connection />
    }
    const withAuth = (auth: object | (() => object)) => (
      <BroadcasterProvider url={server.url} {...wire.options} auth={auth as Record<string, unknown>}>
        <Grab />
      </BroadcasterProvider>
    )
    const app = render(withAuth({ token: 'one' }))
    await sees(app, 'connected')
    const first = client
    app.rerender(withAuth({ token: 'two' }))
    app.rerender(withAuth(() => ({ token: 'three' })))
    expect(client).toBe(first)
    expect(wire.connections).toBe(1)

    await client.disconnect()
    await client.connect()
    expect(server.auths).toEqual([{ token: 'one' }, { token: 'three' }])
  })

  it('makes a new client for another url, keeps its children mounted, and closes the old connection', async () => {
    const [before, after] = [await startServer(), await startServer()]
    const news = channelName()
    const mounts = vi.fn()
    const wire = recordWire()
    function News() {
      const { status, latest } = useChannel(news)
      return <p ref={(element) => void (element && mounts())}>{`${status} ${latest?.body}`}</p>
    }
    const below = <News />
    const at = (url: string) => (
      <BroadcasterProvider url={url} {...wire.options}>
        {below}
      </BroadcasterProvider>
    )
    const app = render(at(before.url))
    await sees(app, 'subscribed')
    await before.publish(news, 'old')
    await sees(app, 'old')
    const element = app.container.querySelector('p')

    app.rerender(at(after.url))
    await sees(app, 'subscribed undefined')
    expect(app.container.querySelector('p')).toBe(element)
    await after.publish(news, 'new')
    await sees(app, 'subscribed new')
    await until('the old connection to end', async () => (await before.connections()) === 0)
  })

  it('makes a new client for another user with another key', async () => {
    const server = await startServer()
    const wire = recordWire()
    const as = (token: string) => (
      <BroadcasterProvider key={token} url={server.url} {...wire.options} auth={{ token }}>
        <Connection />
      </BroadcasterProvider>
    )
    const app = render(as('bad'))
    await sees(app, 'disconnected null unauthorized')
    app.rerender(as('alice'))
    await sees(app, 'connected websocket undefined')
    app.rerender(as('bob'))
    await until('the connection of bob', () => server.auths.length === 3)
    await until('the connection of alice to end', async () => (await server.connections()) === 1)
    expect(server.auths.map(({ token }) => token)).toEqual(['bad', 'alice', 'bob'])
  })

  it('causes no unhandled rejection when it is refused', async () => {
    const unhandled = vi.fn()
    process.on('unhandledRejection', unhandled)
    tidy({ close: () => process.off('unhandledRejection', unhandled) })
    const server = await startServer()
    const news = channelName()
    function News() {
      const { status, error } = useChannel(news)
      return `${status} ${error?.code}`
    }
    const app = render(
      <BroadcasterProvider url={server.url} {...recordWire().options} auth={{ token: 'bad' }}>
        <News /> <Connection />
      </BroadcasterProvider>,
    )
    await sees(app, 'error unauthorized disconnected null unauthorized')
    app.unmount()
    // Node reports unhandled rejections after the microtasks.
    await new Promise((resolve) => setImmediate(resolve))
    expect(unhandled).not.toHaveBeenCalled()
  })
})

describe('<BroadcasterProvider client>', () => {
  it('neither connects nor disconnects the client', async () => {
    const server = await startServer()
    const client = new BroadcasterClient(server.url, recordWire().options)
    const disconnect = vi.spyOn(client, 'disconnect')
    const tree = (
      <StrictMode>
        <BroadcasterProvider client={client}>
          <Connection />
        </BroadcasterProvider>
      </StrictMode>
    )
    const app = render(tree)
    expect(client.status).toBe('idle')
    await client.connect()
    await sees(app, 'connected')
    app.unmount()

    // Wait until a second provider has disconnected its own client. The first one would have done so before that.
    const own = render(
      <BroadcasterProvider url={server.url} {...recordWire().options}>
        <Connection />
      </BroadcasterProvider>,
    )
    await sees(own, 'connected')
    expect(await server.connections()).toBe(2)
    own.unmount()
    await until('the other connection to end', async () => (await server.connections()) === 1)
    expect(client.status).toBe('connected')
    expect(disconnect).not.toHaveBeenCalled()
    await client.disconnect()
  })
})

describe('useConnection', () => {
  it('follows the state of the connection', async () => {
    let client!: BroadcasterClient
    function Grab() {
      client = useBroadcaster()
      return <Connection />
    }
    const app = await renderApp(<Grab />)
    await sees(app, 'connected websocket')
    await client.disconnect()
    await sees(app, 'disconnected null')
    await client.connect()
    await sees(app, 'connected websocket')
  })

  it('returns the same object until the state changes', async () => {
    const snapshots: unknown[] = []
    function Watch() {
      snapshots.push(useConnection())
      return <Connection />
    }
    const app = await renderApp(<Watch />)
    await sees(app, 'connected')
    const before = new Set(snapshots).size
    app.show(<Watch />)
    app.show(<Watch />)
    expect(new Set(snapshots).size).toBe(before)
  })
})

describe('without a provider', () => {
  const hooks: readonly (readonly [string, () => unknown])[] = [
    ['useChannel', () => useChannel('news')],
    ['useChannelMessages', () => useChannelMessages('news')],
    ['useConnection', () => useConnection()],
    ['useBroadcaster', () => useBroadcaster()],
  ]

  it.each(hooks)('%s throws an error that says what is missing', (name, hook) => {
    // React logs the thrown error.
    const log = vi.spyOn(console, 'error').mockImplementation(() => {})
    tidy({ close: () => log.mockRestore() })
    function Lost(): ReactNode {
      hook()
      return null
    }
    expect(() => render(<Lost />)).toThrow(
      `${name}() found no client: wrap your app in <BroadcasterProvider url="/broadcast"> (or client={client}).`,
    )
  })
})
