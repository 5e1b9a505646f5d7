import { BroadcasterClient } from '@broadcaster/client'
import { BroadcasterProvider, useChannelMessages } from '@broadcaster/react'
import { render } from '@testing-library/react'
import { StrictMode } from 'react'
import { describe, expect, it } from 'vitest'
import { channelName } from '../../support/names.ts'
import { tidy } from '../../support/tidy.ts'
import { until } from '../../support/waiting.ts'
import { recordWire, sees, startServer } from '../support.tsx'

function News({ name, label }: { name: string; label: string }) {
  const { messages, status } = useChannelMessages(name, { select: (body) => body })
  return <p>{`${label} ${status} [${messages.join(' ')}]`}</p>
}

describe('many providers', () => {
  it('each hook uses the nearest one, and channels of the same name are separate', async () => {
    const [outer, inner, news] = [await startServer(), await startServer(), channelName()]
    const [outerWire, innerWire] = [recordWire(), recordWire()]
    const tree = (withInner: boolean) => (
      <StrictMode>
        <BroadcasterProvider url={outer.url} {...outerWire.options}>
          <News name={news} label="outer" />
          {withInner && (
            <BroadcasterProvider url={inner.url} {...innerWire.options}>
              <News name={news} label="inner" />
            </BroadcasterProvider>
          )}
        </BroadcasterProvider>
      </StrictMode>
    )
    const app = render(tree(true))
    await sees(app, 'outer subscribed []inner subscribed []')
    await outer.publish(news, '1')
    await inner.publish(news, '2')
    await sees(app, 'outer subscribed [1]inner subscribed [2]')

    // The end of one does not end the other.
    app.rerender(tree(false))
    await until('the inner connection to end', async () => (await inner.connections()) === 0)
    await outer.publish(news, '3')
    await sees(app, 'outer subscribed [1 3]')
    expect([outerWire.connections, innerWire.connections]).toEqual([1, 1])
  })

  it('side by side with the same url, each has its own connection', async () => {
    const [server, wire, news] = [await startServer(), recordWire(), channelName()]
    const labels = Array.from({ length: 10 }, (_, index) => `provider ${index}`)
    const tree = (shown: readonly string[]) =>
      shown.map((label) => (
        <BroadcasterProvider key={label} url={server.url} {...wire.options}>
          <News name={news} label={label} />
        </BroadcasterProvider>
      ))
    const app = render(tree(labels))
    for (const label of labels) await sees(app, `${label} subscribed`)
    expect(await server.connections()).toBe(10)
    app.rerender(tree(labels.slice(0, 2)))
    await until('eight connections to end', async () => (await server.connections()) === 2)
    await server.publish(news, 'hello')
    await sees(app, 'provider 0 subscribed [hello]provider 1 subscribed [hello]')
  })

  it('with one client, they share its connection and its subscriptions', async () => {
    const [server, wire, news] = [await startServer(), recordWire(), channelName()]
    const client = new BroadcasterClient(server.url, wire.options)
    tidy({ close: () => client.disconnect() })
    const tree = (count: number) =>
      Array.from({ length: count }, (_, index) => (
        <BroadcasterProvider key={index} client={client}>
          <News name={news} label={`provider ${index}`} />
        </BroadcasterProvider>
      ))
    const app = render(tree(50))
    for (const index of [0, 49]) await sees(app, `provider ${index} subscribed`)
    app.rerender(tree(1))
    await server.publish(news, 'hello')
    await sees(app, 'provider 0 subscribed [hello]')
    expect(wire.sent.map(({ __type }) => __type)).toEqual(['auth', 'subscribe'])
  })
})
