import { BroadcasterClient } from '@broadcaster/client'
import { BroadcasterDevtools, mountDevtools } from '@broadcaster/devtools'
import { BroadcasterProvider, useBroadcaster } from '@broadcaster/react'
import { createTestBroadcaster } from '@broadcaster/testing'
import { render } from '@testing-library/react'
import { StrictMode } from 'react'
import { renderToString } from 'react-dom/server'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { tidy } from '../support/tidy.ts'
import { until } from '../support/waiting.ts'

const hosts = () => document.querySelectorAll('broadcaster-devtools')
const texts = (selector: string) =>
  Array.from(hosts()[0]!.shadowRoot!.querySelectorAll(selector), ({ textContent }) => textContent)

/** The open devtools of a connected client, without React. */
async function openDevtools() {
  const broadcaster = tidy(createTestBroadcaster())
  const { client } = broadcaster
  onTestFinished(mountDevtools(client, { initialIsOpen: true }))
  await client.connect()
  return { broadcaster, client }
}

describe('<BroadcasterDevtools>', () => {
  it('shows the client of the provider, once in StrictMode too, and goes with it', () => {
    const { client } = tidy(createTestBroadcaster())
    const { unmount } = render(
      <StrictMode>
        <BroadcasterProvider client={client}>
          <BroadcasterDevtools initialIsOpen />
        </BroadcasterProvider>
      </StrictMode>,
    )
    expect(hosts()).toHaveLength(1)
    expect(texts('h2')).toEqual(['Connection', 'Channels', 'Timeline', 'Messages'])
    unmount()
    expect(hosts()).toHaveLength(0)
  })

  it('is closed by default, bottom right', () => {
    const { wrapper } = tidy(createTestBroadcaster())
    render(<BroadcasterDevtools />, { wrapper })
    const root = hosts()[0]!.shadowRoot!
    expect(root.querySelector('aside')!.dataset['position']).toBe('bottom-right')
    expect(root.querySelector('.toggle')!.getAttribute('aria-expanded')).toBe('false')
    expect(root.querySelector<HTMLElement>('.panel')!.hidden).toBe(true)
  })

  it('takes a target and a position', () => {
    const { wrapper } = tidy(createTestBroadcaster())
    const target = document.createElement('section')
    render(<BroadcasterDevtools target={target} position="top-left" initialIsOpen />, { wrapper })
    expect(hosts()).toHaveLength(0)
    const root = target.querySelector('broadcaster-devtools')!.shadowRoot!
    expect(root.querySelector('aside')!.dataset['position']).toBe('top-left')
    expect(root.querySelector('.panel')!.lastElementChild!.className).toBe('separator')
  })

  it('has a clear error if there is no body yet', () => {
    const { client } = tidy(createTestBroadcaster())
    const body = vi.spyOn(document, 'body', 'get').mockReturnValue(null as never)
    onTestFinished(() => body.mockRestore())
    expect(() => mountDevtools(client)).toThrow('needs a page with a <body>')
  })

  it('renders nothing on a server', () => {
    expect(
      renderToString(
        <BroadcasterProvider url="/broadcast">
          <BroadcasterDevtools initialIsOpen />
        </BroadcasterProvider>,
      ),
    ).toBe('')
    expect(hosts()).toHaveLength(0)
  })

  it('does not render the application again', async () => {
    const broadcaster = tidy(createTestBroadcaster())
    const rendered = vi.fn(useBroadcaster)
    const Application = () => (rendered(), (<BroadcasterDevtools initialIsOpen />))
    render(<Application />, { wrapper: broadcaster.wrapper })
    await broadcaster.settled()
    const before = rendered.mock.calls.length
    await broadcaster.publish('news', 'hello')
    await broadcaster.drop()
    expect(rendered.mock.calls.length).toBe(before)
  })
})

describe('the memory of the devtools', () => {
  it('has the newest 50 messages of a channel, each cut at 20,000 characters', async () => {
    const { broadcaster, client } = await openDevtools()
    await client.subscribe('news', () => {}).ready
    for (let index = 1; index < 60; index++) await broadcaster.publish('news', `message ${index}`)
    await broadcaster.publish('news', 'x'.repeat(20_007))
    await until('the messages', () => texts('.messages .preview')[0]?.startsWith('xxx') ?? false)
    expect(texts('.messages .preview')).toHaveLength(50)
    expect(texts('.messages .preview').at(-1)).toBe('message 11')
    const details = hosts()[0]!.shadowRoot!.querySelector<HTMLDetailsElement>('.messages details')!
    details.dispatchEvent(new Event('toggle'))
    expect(texts('.messages .text')).toEqual(['x'.repeat(20_000)])
    expect(texts('.messages .soft').at(-1)).toBe('7 more characters are not kept.')
  })

  it('has 4 million characters of all channels together, and forgets those of the quietest ones first', async () => {
    const { broadcaster, client } = await openDevtools()
    const names = Array.from({ length: 5 }, (_, index) => `channel ${index}`)
    for (const name of names) await client.subscribe(name, () => {}).ready
    for (const name of names) {
      for (let index = 0; index < 50; index++) await broadcaster.publish(name, String(index).repeat(20_000))
    }
    const messagesOf = async (name: string) => {
      const buttons = hosts()[0]!.shadowRoot!.querySelectorAll<HTMLElement>('.name')
      Array.from(buttons, (button) => button.textContent === name && button.click())
      return texts('.messages .preview').length
    }
    await until('the last message', () => texts('td.number')[21] === '50')
    expect(await messagesOf('channel 0')).toBe(0)
    expect(await messagesOf('channel 4')).toBe(50)
  })

  it('has 200 entries of the timeline, and one entry for what happens to many channels at the same time', async () => {
    const { client } = await openDevtools()
    const all = Array.from({ length: 300 }, (_, index) => client.subscribe(`${index}`, () => {}))
    await Promise.all(all.map(({ ready }) => ready))
    const { channels } = client.inspection
    for (const { listeners } of channels.values()) listeners.tellGap('broker', undefined)
    await until(
      'one entry',
      () => texts('.timeline li')[0]?.includes('Redis was away: 300 channels') ?? false,
    )
    const { listeners } = channels.get('7')!
    for (let index = 0; index < 300; index++) listeners.tellGap(index % 2 ? 'node' : 'expired', undefined)
    await until('many entries', () => texts('.timeline li').length === 200)
    expect(texts('.channels tbody tr')).toHaveLength(100)
    expect(texts('.channels .soft')).toEqual(['200 more. The filter finds them.'])
  })
})

it('the timeline shows that the credentials have ended', async () => {
  const { broadcaster } = await openDevtools()
  await broadcaster.expire()
  const what = 'Asked for credentials: Credentials have expired (4411)'
  await until('the entry', () => texts('.timeline li').some((text) => text?.includes(what)))
  expect(texts('.timeline li')[0]).toContain('Connected over WebSocket')
})

describe('older messages that a subscription asks for', () => {
  it('are shown once, marked as replayed', async () => {
    const { broadcaster, client } = await openDevtools()
    // The server keeps messages of channels that somebody has.
    const other = new BroadcasterClient(broadcaster.url, {
      WebSocket: broadcaster.WebSocket,
      fetch: broadcaster.fetch,
    })
    onTestFinished(() => other.disconnect())
    await other.subscribe('news', () => {}).ready
    await broadcaster.publish('news', 'older')
    for (let index = 0; index < 2; index++) await client.subscribe('news', () => {}, { replay: 5 }).ready
    await until('the older message', () => texts('.timeline li')[0]?.includes('Older messages') ?? false)
    expect(texts('.messages summary')).toEqual([expect.stringContaining('replayed older')])
  })
})

describe('the devtools do not change what the application does', () => {
  it('an error without a listener is still printed', async () => {
    const printed = vi.spyOn(console, 'error').mockImplementation(() => {})
    onTestFinished(() => printed.mockRestore())
    const { broadcaster, client } = await openDevtools()
    await client.subscribe('news', () => {
      throw new Error('a mistake')
    }).ready
    await broadcaster.publish('news', 'hello')
    expect(printed.mock.calls).toMatchObject([[{ code: 'handler' }]])
  })

  it('every listener is removed at the end, and a second end does nothing', () => {
    const { client } = tidy(createTestBroadcaster())
    const offs: ReturnType<typeof vi.fn>[] = []
    const { on } = client
    vi.spyOn(client, 'on').mockImplementation((...args) => {
      const off = vi.fn(on.apply(client, args))
      offs.push(off)
      return off
    })
    const unmount = mountDevtools(client)
    expect(offs).toHaveLength(5)
    unmount()
    unmount()
    for (const off of offs) expect(off).toHaveBeenCalledOnce()
    expect(hosts()).toHaveLength(0)
  })
})
