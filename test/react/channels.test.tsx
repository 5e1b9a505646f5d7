import { defineChannels, text } from '@broadcaster/channels'
import type { Message } from '@broadcaster/client'
import { BroadcasterProvider, SchemaError, useChannel, useChannelMessages } from '@broadcaster/react'
import { render } from '@testing-library/react'
import { StrictMode, type ReactNode } from 'react'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { recordWire, sees, startServer } from './support.tsx'

const channels = defineChannels({
  price: z.object({ cents: z.number().transform((cents) => cents / 100) }),
  'room:{id}': z.object({ text: z.string() }),
  news: text,
})

async function renderApp(children: ReactNode) {
  const server = await startServer()
  const wire = recordWire()
  const { container } = render(
    <StrictMode>
      <BroadcasterProvider url={server.url} channels={channels} {...wire.options}>
        {children}
      </BroadcasterProvider>
    </StrictMode>,
  )
  return { container, server, wire }
}

describe('<BroadcasterProvider channels>', () => {
  it('parses the bodies of hooks that have no schema', async () => {
    const heard: unknown[] = []
    function Room() {
      const { status, latest } = useChannel('room:42', (body, message) => heard.push(body, message.body))
      const { messages } = useChannelMessages('room:42')
      return `${status} ${JSON.stringify(latest?.body)} ${JSON.stringify(messages.map(({ body }) => body))}`
    }
    const app = await renderApp(<Room />)
    await sees(app, 'subscribed')
    await app.server.publish('room:42', { text: 'hello' })
    await sees(app, 'subscribed {"text":"hello"} [{"text":"hello"}]')
    expect(heard).toEqual([{ text: 'hello' }, { text: 'hello' }])
  })

  it('passes a body that does not fit to onError, never to onMessage, and continues', async () => {
    const heard: unknown[] = []
    const errors: [unknown, Message | undefined][] = []
    function Price() {
      const { status, latest } = useChannel('price', {
        onMessage: (body) => heard.push(body),
        onError: (error, message) => errors.push([error, message]),
      })
      return `${status} ${JSON.stringify(latest?.body)}`
    }
    const app = await renderApp(<Price />)
    await sees(app, 'subscribed')
    await app.server.publish('price', 'no JSON', { cents: '5' }, { cents: 5 })
    await sees(app, '{"cents":0.05}')
    expect(heard).toEqual([{ cents: 0.05 }])
    expect(errors).toEqual([
      [expect.any(SchemaError), expect.objectContaining({ body: 'no JSON' })],
      [expect.any(SchemaError), expect.objectContaining({ body: '{"cents":"5"}' })],
    ])
  })

  it('refuses a channel that the map does not have, and the page lives', async () => {
    const errors: [unknown, unknown][] = []
    function Room({ id }: { id: string }) {
      const { status, error } = useChannel(`room:${id}`, {
        onError: (...args) => errors.push([args[0], args[1]]),
      })
      return `room ${status} ${error?.message}`
    }
    function News() {
      const { status, latest } = useChannel('news')
      return `news ${status} ${latest?.body}`
    }
    const app = await renderApp([<Room key="1" id="" />, <News key="2" />])
    await sees(app, "room refused Channel 'room:': it is not in the option `channels`")
    expect(errors).toEqual([[expect.objectContaining({ code: 'refused' }), undefined]])
    expect(app.wire.count('subscribe', 'room:')).toBe(0)
    await sees(app, 'news subscribed')
    await app.server.publish('news', 'hello')
    await sees(app, 'news subscribed hello')
  })

  it('uses the schema of the hook instead, if it has one', async () => {
    const heard: unknown[] = []
    const errors: unknown[] = []
    function Price() {
      const { latest, status } = useChannel('price', {
        schema: z.object({ cents: z.union([z.number(), z.literal('none')]) }),
        onMessage: (body) => heard.push(body),
        onError: (error) => errors.push(error),
      })
      return `${status} ${latest?.body.cents}`
    }
    const app = await renderApp(<Price />)
    await sees(app, 'subscribed')
    await app.server.publish('price', { cents: 5 }, { cents: 'none' }, { cents: 'x' }, { cents: 6 })
    await sees(app, 'subscribed 6')
    expect(heard).toEqual([{ cents: 5 }, { cents: 'none' }, { cents: 6 }])
    expect(errors).toEqual([expect.any(SchemaError)])
  })
})
