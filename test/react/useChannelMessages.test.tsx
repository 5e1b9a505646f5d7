import { useChannelMessages, type ChannelMessagesOptions } from '@broadcaster/react'
import { useLayoutEffect, useState } from 'react'
import { describe, expect, expectTypeOf, it } from 'vitest'
import { z } from 'zod'
import { channelName } from '../support/names.ts'
import { until } from '../support/waiting.ts'
import { renderApp, sees } from './support.tsx'

type Options = ChannelMessagesOptions<string>

/** Shows a list of strings that `options` make from the messages. */
function List({ name, ...options }: { name: string | null } & Options) {
  const { messages, clear, status } = useChannelMessages(name, { select: (body) => body, ...options })
  return (
    <>
      <button onClick={clear}>{status}</button>
      {`[${messages.join(' ')}]`}
    </>
  )
}

describe('useChannelMessages', () => {
  it('lists messages, oldest first, each with a unique key', async () => {
    const news = channelName()
    let ids: number[] = []
    function News() {
      const { messages, status } = useChannelMessages(news)
      ids = messages.map(({ id }) => id)
      return (
        <>
          {status}
          {messages.map(({ id, channel, body }) => (
            <p key={id}>{`${channel === news} ${body}.`}</p>
          ))}
        </>
      )
    }
    const app = await renderApp(<News />)
    await sees(app, 'subscribed')
    await app.server.publish(news, 'one', 'two', 'two')
    await sees(app, 'true one.true two.true two.')
    expect(new Set(ids).size).toBe(3)
  })

  it('keeps the newest messages up to the limit', async () => {
    const news = channelName()
    const app = await renderApp(<List name={news} limit={3} />)
    await sees(app, 'subscribed')
    await app.server.publish(news, 'a', 'b', 'c', 'd', 'e')
    await sees(app, '[c d e]')
  })

  it('keeps 100 messages by default', async () => {
    const news = channelName()
    const app = await renderApp(<List name={news} />)
    await sees(app, 'subscribed')
    const bodies = Array.from({ length: 120 }, (_, index) => `m${index}`)
    await app.server.publish(news, ...bodies)
    await sees(app, `[${bodies.slice(20).join(' ')}]`)
  })

  it('keeps no messages with a limit of 0', async () => {
    const news = channelName()
    const heard: string[] = []
    const app = await renderApp(<List name={news} limit={0} onMessage={(body) => heard.push(body)} />)
    await sees(app, 'subscribed')
    await app.server.publish(news, 'a')
    await until('the message', () => heard.length)
    expect(app.container.textContent).toContain('[]')
  })

  it('lists the results of select, without undefined', async () => {
    const news = channelName()
    const select: Options['select'] = (body) => (body.startsWith('#') ? undefined : body.toUpperCase())
    const app = await renderApp(<List name={news} select={select} />)
    await sees(app, 'subscribed')
    await app.server.publish(news, 'a', '# hidden', 'b')
    await sees(app, '[A B]')
  })

  it('adds items to the list with reduce', async () => {
    const prices = channelName()
    const reduce: Options['reduce'] = (list, item) => [...list.filter((old) => old[0] !== item[0]), item]
    const app = await renderApp(<List name={prices} reduce={reduce} limit={2} />)
    await sees(app, 'subscribed')
    await app.server.publish(prices, 'a1', 'b1', 'a2')
    await sees(app, '[b1 a2]')
    await app.server.publish(prices, 'c1')
    await sees(app, '[a2 c1]')
  })

  it('shows a gap at its place in the list', async () => {
    const news = channelName()
    const gaps: string[] = []
    const app = await renderApp(
      <List
        name={news}
        selectGap={({ reason }) => `<${reason}>`}
        onGap={({ reason }) => gaps.push(reason)}
      />,
    )
    await sees(app, 'subscribed')
    app.wire.receive([
      { __type: 'message', channel: news, body: 'before' },
      { __type: 'gap', channel: news, position: 'p', reason: 'overflow' },
      { __type: 'message', channel: news, body: 'after' },
    ])
    await sees(app, '[before <overflow> after]')
    expect(gaps).toEqual(['overflow'])
  })

  it('is emptied by clear, and new messages are added after that', async () => {
    const news = channelName()
    const app = await renderApp(<List name={news} />)
    await sees(app, 'subscribed')
    await app.server.publish(news, 'a')
    await sees(app, '[a]')
    app.getByRole('button').click()
    await sees(app, '[]')
    await app.server.publish(news, 'b')
    await sees(app, '[b]')
  })

  it('starts with an empty list for another channel', async () => {
    const [a, b] = [channelName('a'), channelName('b')]
    const shown: string[] = []
    function Switching({ name }: { name: string }) {
      const { messages, status } = useChannelMessages(name)
      const text = `${status} ${messages.map(({ body }) => body).join(' ')}`
      useLayoutEffect(() => {
        if (name === b) shown.push(text)
      })
      return text
    }
    const app = await renderApp(<Switching name={a} />)
    await sees(app, 'subscribed')
    await app.server.publish(a, 'of-a')
    await sees(app, 'of-a')
    app.show(<Switching name={b} />)
    await sees(app, 'subscribed')
    await app.server.publish(b, 'of-b')
    await sees(app, 'of-b')
    expect(shown[0]).toBe('subscribing ')
    expect(shown.filter((text) => text.includes('of-a'))).toEqual([])
  })

  it('renders once for 1,000 messages of one tick', async () => {
    const news = channelName()
    let renders = 0
    function Counting() {
      renders++
      const { messages, status } = useChannelMessages(news, { limit: 2000 })
      return `${status} ${messages.length}`
    }
    const app = await renderApp(<Counting />)
    await sees(app, 'subscribed')
    const before = renders
    app.wire.receive(
      Array.from({ length: 1000 }, (_, index) => ({ __type: 'message', channel: news, body: String(index) })),
    )
    await sees(app, 'subscribed 1000')
    // StrictMode renders twice what it renders once.
    expect(renders - before).toBeLessThanOrEqual(2)
  })

  it('returns the same object until something changes, and always the same clear', async () => {
    const news = channelName()
    const results = new Set<unknown>()
    const clears = new Set<unknown>()
    let rerender = () => {}
    let renders = 0
    function Stable() {
      const [turn, setTurn] = useState(0)
      rerender = () => setTurn(turn + 1)
      renders = turn
      const result = useChannelMessages(news, { limit: 5, onMessage: () => {} })
      useLayoutEffect(() => {
        if (result.status !== 'subscribed') return
        results.add(result)
        clears.add(result.clear)
      })
      return `${result.status} ${turn}`
    }
    const app = await renderApp(<Stable />)
    await sees(app, 'subscribed')
    for (let turn = 1; turn <= 5; turn++) {
      rerender()
      await sees(app, `subscribed ${turn}`)
    }
    expect(renders).toBe(5)
    expect(results.size).toBe(1)
    expect(clears.size).toBe(1)
  })

  it('keeps the list during a pause', async () => {
    const news = channelName()
    const list = (enabled: boolean) => <List name={news} enabled={enabled} selectGap={() => '<gap>'} />
    const app = await renderApp(list(true))
    await sees(app, 'subscribed')
    await app.server.publish(news, 'a')
    await sees(app, '[a]')
    app.show(list(false))
    await sees(app, 'idle[a]')
    app.show(list(true))
    await sees(app, 'subscribed[a <gap>]')
  })

  it('types its items', () => {
    // Never called. The compiler checks it.
    void function Types() {
      const plain = useChannelMessages('news')
      expectTypeOf(plain.messages[0]!.body).toEqualTypeOf<string>()
      const parsed = useChannelMessages('news', { schema: z.object({ id: z.number() }) })
      expectTypeOf(parsed.messages[0]!.body).toEqualTypeOf<{ id: number }>()
      const selected = useChannelMessages('news', {
        schema: z.object({ id: z.number() }),
        select: ({ id }) => (id > 0 ? id : undefined),
        reduce: (list, id) => [...list, id],
      })
      expectTypeOf(selected.messages).toEqualTypeOf<readonly number[]>()
    }
  })
})
