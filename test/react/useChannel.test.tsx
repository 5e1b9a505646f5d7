import { BroadcasterProvider, useChannel, type ChannelOptions } from '@broadcaster/react'
import { render } from '@testing-library/react'
import * as React from 'react'
import { useLayoutEffect } from 'react'
import { describe, expect, it, vi } from 'vitest'
import { channelName } from '../support/names.ts'
import { onlyIf } from '../support/onlyIf.ts'
import { tidy } from '../support/tidy.ts'
import { until } from '../support/waiting.ts'
import { recordWire, renderApp, sees, startServer } from './support.tsx'

/** Shows the status of a channel and its newest message. */
function Channel({ name, ...options }: { name: string | null } & ChannelOptions) {
  const { status, error, latest } = useChannel(name, options)
  return (
    <p>
      {status} {error?.message} {latest?.body}
    </p>
  )
}

describe('useChannel', () => {
  it('subscribes once in StrictMode, over one connection', async () => {
    const news = channelName()
    const app = await renderApp(<Channel name={news} />)
    await sees(app, 'subscribed')
    await app.server.publish(news, 'hello')
    await sees(app, 'hello')

    expect(app.wire.connections).toBe(1)
    expect(app.wire.sent.map(({ __type }) => __type)).toEqual(['auth', 'subscribe'])
  })

  it('subscribes once for many components, until the last one is unmounted', async () => {
    const news = channelName()
    const many = Array.from({ length: 20 }, (_, index) => <Channel key={index} name={news} />)
    const app = await renderApp(many)
    await until('all to be subscribed', () => app.container.textContent?.match(/subscribed/g)?.length === 20)

    app.show(many[7])
    // The unsubscribe of a later subscription is sent after those of all earlier ones.
    const marker = channelName()
    app.show([many[7], <Channel key="marker" name={marker} />])
    await until('the marker to be subscribed', () => app.wire.count('subscribe', marker))
    app.show(many[7])
    await until('the marker to be unsubscribed', () => app.wire.count('unsubscribe', marker))

    expect(app.wire.count('subscribe', news)).toBe(1)
    expect(app.wire.count('unsubscribe', news)).toBe(0)
    app.show(null)
    await until('the channel to be unsubscribed', () => app.wire.count('unsubscribe', news))
  })

  it('accepts a handler instead of options', async () => {
    const news = channelName()
    const bodies: string[] = []
    function Short() {
      return useChannel(news, (body) => bodies.push(body)).status
    }
    const app = await renderApp(<Short />)
    await sees(app, 'subscribed')
    await app.server.publish(news, 'hello')
    await until('the message', () => bodies.length)
    expect(bodies).toEqual(['hello'])
  })

  it('calls the newest handler, and a new handler sends nothing', async () => {
    const news = channelName()
    const calls: string[] = []
    const withHandler = (turn: number) => (
      <Channel name={news} onMessage={(body) => calls.push(`${turn} ${body}`)} onGap={() => {}} />
    )
    const app = await renderApp(withHandler(0))
    await sees(app, 'subscribed')
    for (let turn = 1; turn <= 50; turn++) app.show(withHandler(turn))
    await app.server.publish(news, 'hello')
    await until('the message', () => calls.length)

    expect(calls).toEqual(['50 hello'])
    expect(app.wire.sent.map(({ __type }) => __type)).toEqual(['auth', 'subscribe'])
  })

  it('never passes a message of the old channel to the handler of the new channel', async () => {
    const [a, b] = [channelName('a'), channelName('b')]
    const heard: string[] = []
    const shown: string[] = []
    function Switching({ name }: { name: string }) {
      const { status, latest } = useChannel(name, (body) => heard.push(`${name} ${body}`))
      // The change is committed, but the subscription of the old channel has not ended yet. This is the critical moment.
      useLayoutEffect(() => {
        shown.push(`${name} ${status} ${latest?.body}`)
        if (name === b) app.wire.receive([{ __type: 'message', channel: a, body: 'late' }])
      })
      return `${status} ${latest?.body}`
    }
    const app = await renderApp(<Switching name={a} />)
    await sees(app, 'subscribed')
    await app.server.publish(a, 'of a')
    await sees(app, 'of a')

    app.show(<Switching name={b} />)
    await sees(app, 'subscribed')
    await app.server.publish(a, 'later')
    await app.server.publish(b, 'of b')
    await sees(app, 'of b')

    expect(heard).toEqual([`${a} of a`, `${b} of b`])
    expect(shown.filter((state) => state.startsWith(b))[0]).toBe(`${b} subscribing undefined`)
    expect(shown.filter((state) => state.startsWith(b) && /of a|late/.test(state))).toEqual([])
  })

  it('passes 1,000 messages of one tick to the handler in order, and renders once', async () => {
    const news = channelName()
    const bodies: string[] = []
    let renders = 0
    function Counting() {
      const { status, latest } = useChannel(news, (body) => bodies.push(body))
      renders++
      return `${status} ${latest?.body}`
    }
    const app = await renderApp(<Counting />)
    await sees(app, 'subscribed')
    const expected = Array.from({ length: 1000 }, (_, index) => `message ${index}`)

    const before = renders
    app.wire.receive(expected.map((body) => ({ __type: 'message', channel: news, body })))
    expect(bodies).toEqual(expected)
    await sees(app, 'message 999')
    // StrictMode renders twice what it renders once.
    expect(renders - before).toBeLessThanOrEqual(2)
  })

  it('renders at most once per frame, however the messages are spread over the frame', async () => {
    const request = vi.spyOn(window, 'requestAnimationFrame')
    tidy({ close: () => request.mockRestore() })
    const news = channelName()
    let renders = 0
    function Counting() {
      renders++
      const { status, latest } = useChannel(news)
      return `${status} ${latest?.body}.`
    }
    const app = await renderApp(<Counting />)
    await sees(app, 'subscribed')
    const before = renders
    request.mockClear()
    for (let count = 1; count <= 30; count++) {
      app.wire.receive([{ __type: 'message', channel: news, body: String(count) }])
      await new Promise((resolve) => setImmediate(resolve))
    }
    await sees(app, 'subscribed 30.')
    // StrictMode renders twice what it renders once.
    expect(renders - before).toBeLessThanOrEqual(2 * request.mock.calls.length)
  })

  it('gets 1,000 messages in order from a server that publishes them at once', async () => {
    const news = channelName()
    const bodies: string[] = []
    const app = await renderApp(<Channel name={news} onMessage={(body) => bodies.push(body)} />)
    await sees(app, 'subscribed')
    const expected = Array.from({ length: 1000 }, (_, index) => `message ${index}`)
    await app.server.publish(news, ...expected)
    await until('all messages', () => bodies.length >= 1000)
    expect(bodies).toEqual(expected)
  })

  it('shows messages also when the page is hidden and gets no frames', async () => {
    vi.stubGlobal('requestAnimationFrame', () => 0)
    tidy({ close: () => vi.unstubAllGlobals() })
    const news = channelName()
    const app = await renderApp(<Channel name={news} />)
    await sees(app, 'subscribed')
    await app.server.publish(news, 'hello')
    await sees(app, 'hello')
  })

  it('does not render for messages if the component does not read them', async () => {
    const [news, other] = [channelName(), channelName()]
    let renders = 0
    let heard = 0
    function Deaf() {
      renders++
      return useChannel(news, () => heard++).status
    }
    const app = await renderApp([<Deaf key="deaf" />, <Channel key="other" name={other} />])
    await until('both to be subscribed', () => app.container.textContent?.match(/subscribed/g)?.length === 2)
    const before = renders
    await app.server.publish(news, 'one', 'two')
    await app.server.publish(other, 'shown')
    await sees(app, 'shown')
    expect(heard).toBe(2)
    expect(renders).toBe(before)
  })

  it('calls all handlers when one of them throws, and the client emits an error event', async () => {
    const news = channelName()
    const bodies: string[] = []
    const { BroadcasterClient } = await import('@broadcaster/client')
    const server = await startServer()
    const client = new BroadcasterClient(server.url, recordWire().options)
    const errors: unknown[] = []
    client.on('error', (error) => errors.push(error.cause))
    const mistake = new Error('a mistake')
    const throwing = () => {
      throw mistake
    }
    const app = render(
      <BroadcasterProvider client={client}>
        <Channel name={news} onMessage={throwing} />
        <Channel name={news} onMessage={(body) => bodies.push(body)} />
      </BroadcasterProvider>,
    )
    await until('both to be subscribed', () => app.container.textContent?.match(/subscribed/g)?.length === 2)
    await server.publish(news, 'one')
    await server.publish(news, 'two')
    await until('both messages', () => bodies.length === 2)

    expect(errors).toEqual([mistake, mistake])
    expect(app.container.textContent?.match(/two/g)).toHaveLength(2)
    await client.disconnect()
  })

  it('is idle without a name, or if it is not enabled', async () => {
    const news = channelName()
    const app = await renderApp([
      <Channel key="null" name={null} />,
      <Channel key="off" name={news} enabled={false} />,
    ])
    expect(app.container.textContent).toMatch(/^idle\s+idle\s+$/)

    // If they had sent anything, it would have been sent before this.
    const marker = channelName()
    app.show([<Channel key="null" name={null} />, <Channel key="marker" name={marker} />])
    await sees(app, 'subscribed')
    expect(app.wire.sent.map(({ channel }) => channel)).toEqual([undefined, marker])
  })

  it('keeps its messages during a pause, and reports a gap when the pause ends', async () => {
    const news = channelName()
    const gaps: unknown[] = []
    const paused = (isPaused: boolean) => (
      <Channel name={news} enabled={!isPaused} onGap={(gap) => gaps.push(gap)} />
    )
    const app = await renderApp(paused(false))
    await sees(app, 'subscribed')
    await app.server.publish(news, 'before')
    await sees(app, 'before')
    app.show(paused(true))
    expect(app.container.textContent).toMatch(/^idle\s+before$/)
    await app.server.publish(news, 'meanwhile')
    expect(gaps).toEqual([])

    app.show(paused(false))
    await until('the gap', () => gaps.length)
    expect(gaps).toEqual([{ channel: news, reason: 'expired' }])
    await app.server.publish(news, 'after')
    await sees(app, 'after')
  })

  it(
    'reports a gap when a hidden <Activity> is shown again',
    onlyIf('Activity' in React, '<Activity>, which React 18 does not have'),
    async () => {
      const news = channelName()
      const gaps: unknown[] = []
      const activity = (mode: 'visible' | 'hidden') => (
        <React.Activity mode={mode}>
          <Channel name={news} onGap={(gap) => gaps.push(gap)} />
        </React.Activity>
      )
      const app = await renderApp(activity('visible'))
      await sees(app, 'subscribed')
      app.show(activity('hidden'))
      await app.server.publish(news, 'meanwhile')
      expect(gaps).toEqual([])
      app.show(activity('visible'))
      await until('the gap', () => gaps.length)
      await sees(app, 'subscribed')
      expect(gaps).toHaveLength(1)
    },
  )

  it('has the status refused and the reason for a refused channel', async () => {
    const secret = channelName('secret')
    const errors: string[] = []
    const onError = (error: Error) => errors.push(error.message)
    const app = await renderApp(<Channel name={secret} onError={onError} />, secret)
    await sees(app, 'refused')
    await sees(app, 'Channel refused')
    expect(errors).toEqual([expect.stringContaining('Channel refused')])
  })

  it('passes a gap to onGap', async () => {
    const news = channelName()
    const onGap = vi.fn()
    const app = await renderApp(<Channel name={news} onGap={onGap} />)
    await sees(app, 'subscribed')
    app.wire.receive([{ __type: 'gap', channel: news, position: 'p', reason: 'overflow' }])
    expect(onGap).toHaveBeenCalledExactlyOnceWith({ channel: news, position: 'p', reason: 'overflow' })
  })
})
