import { useChannel, useChannelMessages } from '@broadcaster/react'
import { useState } from 'react'
import { describe, expect, it } from 'vitest'
import { channelName } from '../support/names.ts'
import { renderApp, sees } from './support.tsx'

/** A list of the newest messages. A replayed one begins with `~`. */
function News({ name, enabled = true }: { readonly name: string; readonly enabled?: boolean }) {
  const { messages, latest, status } = useChannelMessages(name, {
    replay: 3,
    enabled,
    select: (body, { isReplayed }) => (isReplayed ? `~${body}` : body),
    selectGap: ({ reason }) => `(${reason})`,
  })
  return `${status} [${messages.join(' ')}] ${latest?.body}`
}

function Latest({ name }: { readonly name: string }) {
  return useChannel(name, { replay: 1 }).latest?.body ?? 'nothing'
}

describe('replay', () => {
  it('fills a list at once in StrictMode, once, and later messages follow', async () => {
    const news = channelName()
    const app = await renderApp('no list')
    await app.server.publish(news, 'a', 'b', 'c', 'd')
    app.show(<News name={news} />)
    await sees(app, 'subscribed [~b ~c ~d] d')
    await app.server.publish(news, 'e')
    await sees(app, 'subscribed [~b ~c ~d e] e')
    expect(app.wire.count('subscribe', news)).toBe(1)
  })

  it('gives each component its own, and nobody a message twice', async () => {
    const news = channelName()
    const app = await renderApp(<News name={news} />)
    await sees(app, 'subscribed [] undefined')
    await app.server.publish(news, 'a', 'b')
    await sees(app, 'subscribed [a b] b')
    app.show(
      <>
        <News name={news} />
        {' | '}
        <Latest name={news} />
      </>,
    )
    await sees(app, ' | b')
    await app.server.publish(news, 'c')
    await sees(app, 'c] c | c')
  })

  it('starts again for another channel', async () => {
    const [one, two] = [channelName(), channelName()]
    const app = await renderApp('no list')
    await app.server.publish(one, '1')
    await app.server.publish(two, '2')
    app.show(<News name={one} />)
    await sees(app, 'subscribed [~1] 1')
    app.show(<News name={two} />)
    await sees(app, 'subscribed [~2] 2')
  })

  it('is not repeated after a pause: a gap tells that messages were missed', async () => {
    const news = channelName()
    const app = await renderApp('no list')
    await app.server.publish(news, 'a')
    app.show(<News name={news} />)
    await sees(app, '[~a] a')
    app.show(<News name={news} enabled={false} />)
    await sees(app, 'idle [~a] a')
    app.show(<News name={news} />)
    await sees(app, 'subscribed [~a (expired)] a')
    await app.server.publish(news, 'b')
    await sees(app, 'subscribed [~a (expired) b] b')
  })

  it('is the same after a new render of the component', async () => {
    const news = channelName()
    function Counter() {
      const [count, setCount] = useState(0)
      return (
        <button onClick={() => setCount(count + 1)}>
          {count}: <News name={news} />
        </button>
      )
    }
    const app = await renderApp('no list')
    await app.server.publish(news, 'a')
    app.show(<Counter />)
    await sees(app, '0: subscribed [~a] a')
    app.getByRole('button').click()
    await sees(app, '1: subscribed [~a] a')
    expect(app.wire.count('subscribe', news)).toBe(1)
  })
})
