import { BroadcasterProvider, useChannel, useConnection } from '@broadcaster/react'
import { createTestBroadcaster } from '@broadcaster/testing'
import { render } from '@testing-library/react'
import { StrictMode } from 'react'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { channelName } from '../../support/names.ts'
import { tidy } from '../../support/tidy.ts'
import { until } from '../../support/waiting.ts'
import { recordWire, sees, startServer } from '../support.tsx'

function News({ name }: { name: string }) {
  const { status, error } = useChannel(name, { onMessage: () => {} })
  const connection = useConnection()
  return `${status} ${error?.code} ${connection.status} ${connection.error?.code}`
}

/** No test of this file may leave a promise that rejects without a handler, whatever fails. */
describe('no unhandled rejection', () => {
  const unhandled: unknown[] = []
  const listen = (reason: unknown) => void unhandled.push(reason)

  beforeEach(() => {
    unhandled.splice(0)
    process.on('unhandledRejection', listen)
  })

  afterEach(async () => {
    // Node reports unhandled rejections after the microtasks.
    await new Promise((resolve) => setImmediate(resolve))
    process.off('unhandledRejection', listen)
    expect(unhandled).toEqual([])
  })

  it('when the provider is unmounted while it connects, and mounted again', async () => {
    const [server, wire, news] = [await startServer(), recordWire(), channelName()]
    const tree = (
      <StrictMode>
        <BroadcasterProvider url={server.url} {...wire.options}>
          <News name={news} />
        </BroadcasterProvider>
      </StrictMode>
    )
    const first = render(tree)
    first.unmount()
    const second = render(tree)
    await sees(second, 'subscribed undefined connected')
    await until('the first connection to end', async () => (await server.connections()) === 1)
  })

  it('when the channel is refused, and the component is unmounted before the answer', async () => {
    const news = channelName()
    const [server, wire] = [await startServer(news), recordWire()]
    const tree = (name: string | null) => (
      <BroadcasterProvider url={server.url} {...wire.options}>
        {name !== null && <News key={name} name={name} />}
      </BroadcasterProvider>
    )
    const app = render(tree(news))
    await until('the request', () => wire.count('subscribe', news))
    app.rerender(tree(null))
    app.rerender(tree(channelName()))
    await sees(app, 'subscribed undefined connected')
  })

  it('when the connection is lost again and again', async () => {
    const broadcaster = tidy(createTestBroadcaster())
    const news = channelName()
    const app = render(<News name={news} />, { wrapper: broadcaster.wrapper })
    for (let turn = 0; turn < 3; turn++) {
      await sees(app, 'subscribed undefined connected')
      await broadcaster.drop()
      await sees(app, 'subscribing')
      await broadcaster.restore()
    }
    await sees(app, 'subscribed undefined connected')
  })

  it('when the server can not be reached, with one attempt', async () => {
    class Unreachable {
      onclose: ((event: { code: number; reason: string }) => void) | null = null
      constructor() {
        queueMicrotask(() => this.onclose?.({ code: 1006, reason: '' }))
      }
      send() {}
      close() {}
    }
    const app = render(
      <BroadcasterProvider
        url="http://localhost:1/broadcast"
        mode="websocket"
        maxAttempts={1}
        WebSocket={Unreachable as never}
      >
        <News name={channelName()} />
      </BroadcasterProvider>,
    )
    await sees(app, 'error')
    await sees(app, 'disconnected')
    app.unmount()
  })

  it('when `auth` throws, or rejects', async () => {
    // The client logs it, because the application does not listen to its errors.
    const log = vi.spyOn(console, 'error').mockImplementation(() => {})
    tidy({ close: () => log.mockRestore() })
    const server = await startServer()
    const failures = [
      () => {
        throw new Error('no token')
      },
      () => Promise.reject(new Error('no token')),
    ]
    for (const auth of failures) {
      const app = render(
        <BroadcasterProvider url={server.url} {...recordWire().options} auth={auth} maxAttempts={1}>
          <News name={channelName()} />
        </BroadcasterProvider>,
      )
      await sees(app, 'disconnected')
      app.unmount()
    }
  })
})
