import { useChannel, useChannelMessages } from '@broadcaster/react'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { channelName } from '../support/names.ts'
import { until } from '../support/waiting.ts'
import { renderApp, sees } from './support.tsx'

/** Shows the messages of a channel. `publish` resolves when a message has arrived but is not visible yet. */
async function renderNews() {
  const news = channelName()
  const heard: string[] = []
  function News() {
    const onMessage = (body: string) => heard.push(body)
    const { messages, status } = useChannelMessages(news, { select: (body) => body, onMessage })
    return `${status} [${messages.join(' ')}]`
  }
  const app = await renderApp(<News />)
  await sees(app, 'subscribed')
  let sent = 0
  return {
    app,
    publish: async (body: string) => {
      // The messages that the client got. Sockets are real, even if timers are fake.
      app.wire.receive([{ __type: 'message', channel: news, body, position: `p${++sent}` }])
      await Promise.resolve()
      expect(heard.at(-1)).toBe(body)
    },
  }
}

const everything = ['setTimeout', 'clearTimeout', 'requestAnimationFrame', 'cancelAnimationFrame'] as const

describe('messages are shown', () => {
  it.each([
    ['which include the clock', [...everything, 'performance', 'Date'] as const],
    ['which do not include the clock', everything],
  ])('after a test used fake timers, %s', async (_what, toFake) => {
    const { app, publish } = await renderNews()
    vi.useFakeTimers({ toFake: [...toFake] })
    onTestFinished(() => void vi.useRealTimers())
    await publish('lost')
    vi.useRealTimers()
    await publish('found')
    await sees(app, '[lost found]')
  })

  it('with fake timers, after they were installed', async () => {
    const { app, publish } = await renderNews()
    await publish('real')
    vi.useFakeTimers({ toFake: [...everything] })
    onTestFinished(() => void vi.useRealTimers())
    await publish('fake')
    vi.advanceTimersByTime(16)
    await Promise.resolve()
    expect(app.container.textContent).toContain('[real fake]')
  })

  it('after a test has cleared all timers', async () => {
    const { app, publish } = await renderNews()
    vi.useFakeTimers({ toFake: [...everything, 'performance'] })
    onTestFinished(() => void vi.useRealTimers())
    await publish('lost')
    vi.clearAllTimers()
    vi.advanceTimersByTime(1000)
    await publish('found')
    vi.advanceTimersByTime(16)
    await Promise.resolve()
    expect(app.container.textContent).toContain('[lost found]')
  })

  it.each([
    ['a hidden page, which gets no frames', () => 1, () => {}],
    ['a test whose frames are called at once', (frame: FrameRequestCallback) => frame(0), undefined],
    ['a test whose frames have no id and can not be cancelled', () => undefined, undefined],
    ['no page', undefined, undefined],
  ])('in %s', async (_what, request, cancel) => {
    vi.stubGlobal('requestAnimationFrame', request)
    vi.stubGlobal('cancelAnimationFrame', cancel)
    onTestFinished(() => void vi.unstubAllGlobals())
    const { app, publish } = await renderNews()
    await publish('a')
    await sees(app, '[a]')
    await publish('b')
    await sees(app, '[a b]')
  })

  it('when another component fails in the same frame', async () => {
    const news = channelName()
    const failed: unknown[] = []
    const listen = (error: unknown) => void failed.push(error)
    const previous = process.listeners('uncaughtException')
    process.removeAllListeners('uncaughtException').on('uncaughtException', listen)
    onTestFinished(() => {
      process.removeAllListeners('uncaughtException')
      for (const listener of previous) process.on('uncaughtException', listener)
    })
    const { onNextFrame } = await import('../../react/src/frame.ts')
    function News() {
      const { latest, status } = useChannel(news)
      return `${status} ${latest?.body}`
    }
    const app = await renderApp(<News />)
    await sees(app, 'subscribed')
    onNextFrame(() => {
      throw new Error('no such element')
    })
    app.wire.receive([{ __type: 'message', channel: news, body: 'a', position: 'p1' }])
    await sees(app, 'a')
    await until('the failure to be reported', () => failed.length)
    expect(failed).toEqual([new Error('no such element')])
  })
})
