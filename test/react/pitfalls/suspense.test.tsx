import { BroadcasterProvider, useChannel, useChannelMessages, useConnection } from '@broadcaster/react'
import { act, render } from '@testing-library/react'
import { startTransition, StrictMode, Suspense, useState, type ReactNode } from 'react'
import { describe, expect, it } from 'vitest'
import { channelName } from '../../support/names.ts'
import { recordWire, renderApp, sees, startServer } from '../support.tsx'

/** Something that a component waits for by throwing its promise, as libraries do in React 18 and 19. */
class Wait {
  #isOver = false
  #end!: () => void
  readonly #promise = new Promise<void>((resolve) => (this.#end = resolve))

  read(): void {
    if (!this.#isOver) throw this.#promise
  }

  async end(): Promise<void> {
    await act(async () => {
      this.#isOver = true
      this.#end()
    })
  }
}

function News({ name, wait }: { name: string; wait?: Wait | undefined }) {
  const { messages, status } = useChannelMessages(name, { select: (body) => body })
  wait?.read()
  return <p>{`${status} [${messages.join(' ')}]`}</p>
}

function Connection() {
  return useConnection().status
}

describe('Suspense', () => {
  it('a component that suspends on its first render subscribes once, when it is shown', async () => {
    const news = channelName()
    const wait = new Wait()
    const app = await renderApp([
      <Connection key="connection" />,
      <Suspense key="news" fallback="waiting">
        <News name={news} wait={wait} />
      </Suspense>,
    ])
    await sees(app, 'connected')
    await sees(app, 'waiting')
    // The request for a later channel would be sent after it.
    const marker = channelName()
    app.show([
      <News key="marker" name={marker} />,
      <Suspense key="news" fallback="waiting">
        <News name={news} wait={wait} />
      </Suspense>,
    ])
    await sees(app, 'subscribed')
    expect(app.wire.count('subscribe', news)).toBe(0)

    await wait.end()
    await sees(app, 'subscribed []subscribed []')
    expect(app.wire.count('subscribe', news)).toBe(1)
    expect(app.wire.connections).toBe(1)
  })

  it.each(['on its first render', 'later'])(
    'a component that suspends sees that another one has subscribed its channel: %s',
    async (when) => {
      const news = channelName()
      const waits = [new Wait(), new Wait()]
      // React 19 does not read the state again after it has subscribed, in StrictMode and below a boundary that suspended.
      const below = (wait?: Wait) => [
        <News key="other" name={news} />,
        <Suspense key="news" fallback="waiting">
          <News name={news} wait={wait} />
        </Suspense>,
      ]
      const app = await renderApp(<News key="other" name={news} />)
      await sees(app, 'subscribed []')
      if (when === 'later') {
        app.show(below())
        await sees(app, 'subscribed []subscribed []')
      }
      for (const wait of waits) {
        app.show(below(wait))
        await sees(app, 'waiting')
        await wait.end()
        await sees(app, 'subscribed []subscribed []')
      }
    },
  )

  it('a provider below a boundary that suspends on its first render makes one connection', async () => {
    const server = await startServer()
    const [wire, wait, news] = [recordWire(), new Wait(), channelName()]
    const app = render(
      <StrictMode>
        <Suspense fallback="waiting">
          <BroadcasterProvider url={server.url} {...wire.options}>
            <News name={news} wait={wait} />
          </BroadcasterProvider>
        </Suspense>
      </StrictMode>,
    )
    await sees(app, 'waiting')
    expect(wire.connections).toBe(0)
    await wait.end()
    await sees(app, 'subscribed []')
    expect(wire.connections).toBe(1)
    expect(wire.sent.map(({ __type }) => __type)).toEqual(['auth', 'subscribe'])
  })

  it('a component that is hidden by a fallback keeps its subscription, and misses nothing', async () => {
    const news = channelName()
    const wait = new Wait()
    const below = (inner?: Wait) => (
      <Suspense fallback="waiting">
        <News name={news} wait={inner} />
      </Suspense>
    )
    const app = await renderApp(below())
    await sees(app, 'subscribed []')
    app.show(below(wait))
    await sees(app, 'waiting')
    for (const body of ['1', '2', '3']) await app.server.publish(news, body)
    await wait.end()
    await sees(app, 'subscribed [1 2 3]')
    expect(app.wire.sent.map(({ __type }) => __type)).toEqual(['auth', 'subscribe'])
  })
})

describe('transitions', () => {
  /** Shows a channel. `go` changes to another channel in a transition, whose component may suspend. */
  function Router({ first, waits, onRouter }: RouterProps) {
    const [name, setName] = useState(first)
    onRouter((next) => startTransition(() => setName(next)))
    return (
      <Suspense fallback="the fallback">
        <News name={name} wait={waits.get(name)} />
        {name}
      </Suspense>
    )
  }
  type RouterProps = {
    first: string
    waits: ReadonlyMap<string, Wait>
    onRouter: (go: (name: string) => void) => void
  }

  async function startRouter(waiting: readonly string[]) {
    const [a, b] = [channelName('a'), channelName('b')]
    const waits = new Map(
      [a, b].flatMap((name) => (waiting.includes(name[0]!) ? [[name, new Wait()]] : [])) as [string, Wait][],
    )
    let go!: (name: string) => void
    const app = await renderApp(<Router first={a} waits={waits} onRouter={(to) => void (go = to)} />)
    await sees(app, 'subscribed []')
    return { a, b, app, waits, go: (name: string) => act(async () => go(name)) }
  }

  it('until a transition ends, the old channel is live, and the new one is not subscribed', async () => {
    const { a, b, app, waits, go } = await startRouter(['b'])
    await go(b)
    // Messages are synchronous updates. They must not show the fallback of the transition.
    for (const body of ['1', '2', '3']) {
      await app.server.publish(a, body)
      await sees(app, `${body}]${a}`)
    }
    expect(app.container.textContent).toBe(`subscribed [1 2 3]${a}`)
    expect(app.wire.count('subscribe', b)).toBe(0)

    await waits.get(b)!.end()
    await sees(app, `subscribed []${b}`)
    await app.server.publish(a, 'late')
    await app.server.publish(b, 'new')
    await sees(app, `subscribed [new]${b}`)
    expect(app.wire.connections).toBe(1)
  })

  it('a transition that is abandoned subscribes to nothing', async () => {
    const { a, b, app, waits, go } = await startRouter(['b'])
    await go(b)
    await go(a)
    await waits.get(b)!.end()
    await app.server.publish(a, 'still here')
    await sees(app, `subscribed [still here]${a}`)
    expect(app.wire.sent.map(({ channel }) => channel)).toEqual([undefined, a])
  })

  it('a message that arrives during the render of a transition is shown afterwards', async () => {
    const news = channelName()
    let show!: (count: number) => void
    let duringRender = (): void => {}
    function Slow({ count }: { count: number }): ReactNode {
      duringRender()
      return count
    }
    function Page() {
      const [count, setCount] = useState(0)
      const { latest, status } = useChannel(news)
      show = (to) => startTransition(() => setCount(to))
      return (
        <p>
          {status} {latest?.body} <Slow count={count} /> {latest?.body}
        </p>
      )
    }
    const app = await renderApp(<Page />)
    await sees(app, 'subscribed')
    duringRender = () => {
      duringRender = () => {}
      app.wire.receive([{ __type: 'message', channel: news, body: 'meanwhile' }])
    }
    await act(async () => show(1))
    await sees(app, 'subscribed meanwhile 1 meanwhile')
  })
})
