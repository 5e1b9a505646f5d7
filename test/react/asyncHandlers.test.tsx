import { useBroadcaster, useChannel, useChannelMessages, type ChannelOptions } from '@broadcaster/react'
import type { BroadcasterError } from '@broadcaster/client'
import * as React from 'react'
import { describe, expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import { channelName } from '../support/names.ts'
import { until } from '../support/waiting.ts'
import { renderApp, sees } from './support.tsx'

/** Renders a channel with these options, and collects the errors of the client. */
async function renderChannel(options: ChannelOptions<any>, { hook = useChannel, isRefused = false } = {}) {
  const name = channelName()
  const unhandled: unknown[] = []
  const listen = (reason: unknown) => void unhandled.push(reason)
  process.on('unhandledRejection', listen)
  onTestFinished(() => void process.off('unhandledRejection', listen))
  const errors: BroadcasterError[] = []
  function Channel({ enabled }: { enabled: boolean }) {
    const client = useBroadcaster()
    React.useEffect(() => client.on('error', (error) => errors.push(error)), [client])
    return hook(name, { ...options, enabled }).status
  }
  const app = await renderApp(<Channel enabled />, ...(isRefused ? [name] : []))
  return {
    app,
    name,
    show: (enabled: boolean) => app.show(<Channel enabled={enabled} />),
    causes: async (count: number) => {
      await until(`${count} errors`, () => errors.length >= count)
      await new Promise((resolve) => setImmediate(resolve))
      expect(unhandled).toEqual([])
      return errors.map(({ code, cause }) => `${code} ${(cause as Error).message}`)
    },
  }
}

const fail = (words: string) => async () => Promise.reject(new Error(words))

describe('async callbacks: a rejection is an error event of the client', () => {
  it.each([
    ['useChannel', useChannel],
    ['useChannelMessages', useChannelMessages as unknown as typeof useChannel],
  ])('onMessage and onGap of %s', async (_name, hook) => {
    const options = { onMessage: fail('message'), onGap: fail('gap') }
    const { app, name, causes } = await renderChannel(options, { hook })
    await sees(app, 'subscribed')
    app.wire.receive([
      { __type: 'message', channel: name, body: 'a', position: 'p1' },
      { __type: 'gap', channel: name, reason: 'overflow' },
    ])
    expect(await causes(2)).toEqual(['handler message', 'handler gap'])
    await sees(app, 'subscribed')
  })

  it('onGap after a pause, also if it throws', async () => {
    let words = 'first'
    const onGap = () => {
      if (words === 'first') throw new Error(words)
      return Promise.reject(new Error(words))
    }
    const { app, show, causes } = await renderChannel({ onGap })
    for (const count of [1, 2]) {
      await sees(app, 'subscribed')
      show(false)
      await sees(app, 'idle')
      show(true)
      expect(await causes(count)).toHaveLength(count)
      words = 'second'
    }
    expect(await causes(2)).toEqual(['handler first', 'handler second'])
  })

  it('onError, for a refused channel and for a body that does not fit', async () => {
    const refused = await renderChannel({ onError: fail('refused') }, { isRefused: true })
    expect(await refused.causes(1)).toEqual(['handler refused'])
    const { app, name, causes } = await renderChannel({ schema: z.number(), onError: fail('no number') })
    await sees(app, 'subscribed')
    await app.server.publish(name, 'a')
    expect(await causes(1)).toEqual(['handler no number'])
  })

  it('an async schema that rejects', async () => {
    const schema = {
      '~standard': { version: 1 as const, vendor: 'test', validate: fail('later') as () => Promise<never> },
    }
    const { app, name, causes } = await renderChannel({ schema })
    await sees(app, 'subscribed')
    await app.server.publish(name, '1')
    expect((await causes(1))[0]).toContain('may not be asynchronous')
  })
})
