import { useChannel, useChannelMessages, useConnection } from '@broadcaster/react'
import { createTestBroadcaster, type TestBroadcasterOptions } from '@broadcaster/testing'
import { act, render, renderHook } from '@testing-library/react'
import * as React from 'react'
import { lazy, StrictMode, Suspense, useState } from 'react'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { transports } from '../support/subject.ts'
import { tidy } from '../support/tidy.ts'

const create = (options?: TestBroadcasterOptions) => tidy(createTestBroadcaster(options))

function News({ channel = 'news' }: { channel?: string }) {
  const { messages, status, error } = useChannelMessages(channel, { select: (body) => body })
  const { status: connection } = useConnection()
  return <p>{`${connection} ${status} [${messages.join(' ')}] ${error?.code}`}</p>
}

/** Shows a message in a state of its own, as handlers do. */
function Toast() {
  const [text, setText] = useState('nothing')
  useChannel('news', setText)
  return <p>{text}</p>
}

const text = () => document.body.textContent

let errors: ReturnType<typeof vi.spyOn>
const settings = globalThis as { IS_REACT_ACT_ENVIRONMENT?: boolean }

beforeEach(() => {
  errors = vi.spyOn(console, 'error')
  // As Testing Library sets it, if the test runner has global hooks.
  settings.IS_REACT_ACT_ENVIRONMENT = true
})

afterEach(() => {
  vi.useRealTimers()
  delete settings.IS_REACT_ACT_ENVIRONMENT
  // React complains there of what is not in act().
  expect(errors.mock.calls).toEqual([])
  errors.mockRestore()
})

describe.each([
  // They come first: React keeps what it finds when a test uses act() for the first time.
  ['fake timers', () => void vi.useFakeTimers()],
  ['real timers', () => {}],
])('a component is rendered when a call of the test broadcaster resolves, with %s,', (_timers, install) => {
  beforeEach(install)

  it.each(transports)('over %s', async (mode) => {
    const { wrapper, publish, drop, restore, refuse, gap, settled } = create({ client: { mode } })
    render(<News />, { wrapper, reactStrictMode: true })
    await settled()
    expect(text()).toBe('connected subscribed [] undefined')
    await publish('news', 'one')
    expect(text()).toBe('connected subscribed [one] undefined')
    await drop()
    expect(text()).toContain('reconnecting subscribing [one]')
    await publish('news', 'two')
    await restore()
    expect(text()).toBe('connected subscribed [one two] undefined')
    await gap('news')
    await refuse('news')
    expect(text()).toBe('connected refused [one two] unsubscribed')
  })

  it('right after render()', async () => {
    const { wrapper, publish } = create()
    render(<Toast />, { wrapper })
    await publish('news', 'hello')
    expect(text()).toBe('hello')
  })

  it('without act(), as in a test that does not use it', async () => {
    delete settings.IS_REACT_ACT_ENVIRONMENT
    const { wrapper, publish } = create()
    render(<News />, { wrapper })
    await publish('news', 'hello')
    expect(text()).toContain('[hello]')
  })

  it('within act() of the test', async () => {
    const { wrapper, publish } = create()
    render(<News />, { wrapper })
    await act(async () => {
      await publish('news', 'one')
      await publish('news', 'two')
    })
    expect(text()).toContain('[one two]')
  })

  it('several at once', async () => {
    const [one, two] = [create(), create()]
    render(<Toast />, { wrapper: one.wrapper })
    render(<News />, { wrapper: two.wrapper })
    await Promise.all([one.publish('news', '1'), two.publish('news', '2'), two.publish('news', '3')])
    expect(text()).toBe('1connected subscribed [2 3] undefined')
  })

  it('with <Suspense>', async () => {
    const { wrapper, publish } = create()
    const Later = lazy(async () => ({ default: Toast }))
    function Details() {
      const { latest } = useChannel('news')
      return latest ? <Later /> : 'nothing'
    }
    render(
      <Suspense fallback="loading">
        <Details />
      </Suspense>,
      { wrapper },
    )
    await publish('news', 'one')
    await publish('news', 'two')
    expect(text()).toBe('two')
  })

  it('and unmounted', async () => {
    const { wrapper, publish, subscriptions, client } = create()
    const { unmount } = render(<News />, { wrapper })
    await publish('news', 'one')
    unmount()
    await publish('news', 'two')
    await client.unsubscribe('news')
    expect(subscriptions()).toEqual({})
  })
})

it('a component that subscribes is rendered without a call of the test', async () => {
  const { wrapper } = create()
  render(<News />, { wrapper })
  for (let turn = 0; turn < 100; turn++) await Promise.resolve()
  expect(text()).toBe('connected subscribed [] undefined')
})

it('a hook is rendered with renderHook()', async () => {
  const { wrapper, publish } = create()
  const { result } = renderHook(() => useChannel('news').latest?.body, { wrapper })
  await publish('news', 'hello')
  expect(result.current).toBe('hello')
})

it('a delayed message is rendered when the fake timers reach it', async () => {
  vi.useFakeTimers()
  const { wrapper, publish, delay, settled } = create()
  render(<News />, { wrapper })
  await settled()
  delay(100)
  await publish('news', 'late')
  expect(text()).toContain('[]')
  vi.advanceTimersByTime(100)
  expect(text()).toContain('[late]')
})

it('findBy and real timers see what is delayed', async () => {
  const { wrapper, publish, delay } = create()
  const { findByText } = render(<News />, { wrapper })
  delay(5)
  await publish('news', 'early')
  await findByText(/connected subscribed/)
  await publish('news', 'late')
  await findByText(/late/)
})

it('calls that are not awaited take effect in their order, and findBy sees it', async () => {
  const { wrapper, publish, drop, restore } = create()
  void publish('news', 'one')
  const { findByText } = render(<News />, { wrapper })
  void publish('news', 'two')
  await findByText(/\[one two\]/)
  void drop()
  void publish('news', 'three')
  await findByText(/reconnecting/)
  void restore()
  await findByText(/connected subscribed \[one two three\]/)
})

it('a test that ends in the middle of a call does not disturb the next one', async () => {
  const first = createTestBroadcaster()
  render(<News />, { wrapper: first.wrapper }).unmount()
  void first.publish('news', 'one')
  const second = create()
  render(<News />, { wrapper: second.wrapper })
  await second.publish('news', 'two')
  expect(text()).toContain('[two]')
  await first.close()
})

it('fake timers that are installed and removed between calls lose nothing', async () => {
  const { wrapper, publish } = create()
  render(<News />, { wrapper })
  await publish('news', '1')
  vi.useFakeTimers()
  await publish('news', '2')
  vi.useRealTimers()
  await publish('news', '3')
  expect(text()).toContain('[1 2 3]')
})

it('works if it is imported when there are fake timers already', async () => {
  vi.useFakeTimers()
  vi.resetModules()
  const testing = await import('@broadcaster/testing')
  const hooks = await import('@broadcaster/react')
  const { wrapper, publish } = tidy(testing.createTestBroadcaster())
  render(<Status use={hooks.useChannel} />, { wrapper })
  await publish('news', 'hello')
  expect(text()).toBe('subscribed hello')
})

function Status({ use }: { use: typeof useChannel }) {
  const { status, latest } = use('news')
  return `${status} ${latest?.body}`
}

it('publish() rejects with the error of a component that can not show the message', async () => {
  errors.mockImplementation(() => {})
  const { wrapper, publish, client } = create()
  function Strict() {
    const { latest } = useChannel('news')
    if (latest?.body === 'bad') throw new Error('I can not show that')
    return latest?.body
  }
  render(<Strict />, { wrapper })
  await publish('news', 'good')
  await expect(publish('news', 'bad')).rejects.toThrow('I can not show that')
  errors.mockClear()
  await publish('news', 'good again')
  expect(client.status).toBe('connected')
})

it('StrictMode subscribes once', async () => {
  const { wrapper, settled, sent } = create()
  render(
    <StrictMode>
      <News />
      <News />
    </StrictMode>,
    { wrapper },
  )
  await settled()
  expect(sent().map(({ __type }) => __type)).toEqual(['auth', 'subscribe'])
  expect(React.version).toMatch(/^1[89]/)
})
