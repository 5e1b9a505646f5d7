import { BroadcasterClient } from '@broadcaster/client'
import { BroadcasterProvider, useChannel, useChannelMessages, useConnection } from '@broadcaster/react'
import { render } from '@testing-library/react'
import { StrictMode, useLayoutEffect, type ReactNode } from 'react'
import { describe, expect, it } from 'vitest'
import { channelName } from '../../support/names.ts'
import { tidy } from '../../support/tidy.ts'
import { until } from '../../support/waiting.ts'
import { recordWire, sees, startServer } from '../support.tsx'

type Switch = {
  /** Renders the children for a user. */
  readonly as: (user: string, children: ReactNode) => ReactNode
  readonly wire: ReturnType<typeof recordWire>
  readonly publish: (channel: string, body: string) => Promise<void>
}

/** The ways in which an application changes the user. */
const ways: readonly (readonly [string, () => Promise<Switch>])[] = [
  [
    'another key of the provider',
    async () => {
      const [server, wire] = [await startServer(), recordWire()]
      const as = (user: string, children: ReactNode) => (
        <BroadcasterProvider key={user} url={server.url} auth={{ token: user }} {...wire.options}>
          {children}
        </BroadcasterProvider>
      )
      return { as, wire, publish: server.publish }
    },
  ],
  [
    'another url',
    async () => {
      const servers = { alice: await startServer(), bob: await startServer() }
      const wire = recordWire()
      const as = (user: string, children: ReactNode) => (
        <BroadcasterProvider url={servers[user as 'alice'].url} {...wire.options}>
          {children}
        </BroadcasterProvider>
      )
      const publish = async (channel: string, body: string) => {
        for (const server of Object.values(servers)) await server.publish(channel, body)
      }
      return { as, wire, publish }
    },
  ],
  [
    'another client',
    async () => {
      const [server, wire] = [await startServer(), recordWire()]
      const clients = new Map<string, BroadcasterClient>()
      const as = (user: string, children: ReactNode) => {
        let client = clients.get(user)
        if (client === undefined) {
          client = new BroadcasterClient(server.url, { auth: { token: user }, ...wire.options })
          clients.set(user, tidy({ client, close: () => client!.disconnect() }).client)
        }
        return <BroadcasterProvider client={client}>{children}</BroadcasterProvider>
      }
      return { as, wire, publish: server.publish }
    },
  ],
]

describe.each(ways)('user switch: %s', (_way, start) => {
  it('shows and delivers no message of the old user', async () => {
    const { as, wire, publish } = await start()
    const news = channelName()
    const heard: string[] = []
    /** What every commit shows. */
    const shown: string[] = []
    let inFlight = (): void => {}

    function Inbox({ user }: { user: string }) {
      const { status, latest } = useChannel(news, (body) => heard.push(`${user} hears ${body}`))
      const { messages, latest: last } = useChannelMessages(news, {
        select: (body) => body,
        onMessage: (body) => heard.push(`${user} lists ${body}`),
        onGap: () => heard.push(`${user} has a gap`),
      })
      const text = `${user} ${status} ${latest?.body} ${last?.body} [${messages.join(' ')}]`
      useLayoutEffect(() => {
        shown.push(text)
        // The new user is committed, and the old subscription has not ended yet. Now more messages arrive.
        if (user === 'bob') inFlight()
        inFlight = () => {}
      })
      return (
        <p>
          {text} {useConnection().status}
        </p>
      )
    }
    const inbox = (user: string) => <StrictMode>{as(user, <Inbox user={user} />)}</StrictMode>

    const app = render(inbox('alice'))
    await sees(app, 'alice subscribed')
    await publish(news, 'secret')
    await sees(app, 'alice subscribed secret secret [secret] connected')
    heard.splice(0)
    const late = (body: string) => wire.receive([{ __type: 'message', channel: news, body }])

    // A message has arrived and waits for the next frame.
    late('waiting')
    inFlight = () => late('in flight')
    app.rerender(inbox('bob'))
    await sees(app, 'bob subscribed undefined undefined [] connected')
    await publish(news, 'for both')
    await sees(app, 'bob subscribed for both for both [for both] connected')

    expect(heard.toSorted()).toEqual([
      'alice hears waiting',
      'alice lists waiting',
      'bob hears for both',
      'bob lists for both',
    ])
    const ofBob = shown.filter((text) => text.startsWith('bob'))
    expect(ofBob[0]).toBe('bob subscribing undefined undefined []')
    expect(ofBob.filter((text) => /secret|waiting|in flight/.test(text))).toEqual([])
  })
})

describe('user switch: logout', () => {
  it('without a provider, nothing is delivered, and the connection ends', async () => {
    const [server, wire, news] = [await startServer(), recordWire(), channelName()]
    const heard: string[] = []
    function Inbox() {
      const { status, latest } = useChannel(news, (body) => heard.push(body))
      useLayoutEffect(() => () => wire.receive([{ __type: 'message', channel: news, body: 'in flight' }]), [])
      return `${status} ${latest?.body}`
    }
    const app = render(
      <BroadcasterProvider url={server.url} {...wire.options}>
        <Inbox />
      </BroadcasterProvider>,
    )
    await sees(app, 'subscribed')
    app.rerender('signed out')
    await server.publish(news, 'later')
    await until('the connection to end', async () => (await server.connections()) === 0)
    expect(heard).toEqual([])
    expect(app.container.textContent).toBe('signed out')
  })

  it('a name of null ends the delivery at once, and the connection stays', async () => {
    const [server, wire, news] = [await startServer(), recordWire(), channelName()]
    const heard: string[] = []
    function Inbox({ name }: { name: string | null }) {
      const { status, latest } = useChannel(name, (body) => heard.push(body))
      const { messages } = useChannelMessages(name)
      useLayoutEffect(() => {
        if (name === null) wire.receive([{ __type: 'message', channel: news, body: 'in flight' }])
      })
      return `${status} ${latest?.body} ${messages.length}`
    }
    const tree = (name: string | null) => (
      <BroadcasterProvider url={server.url} {...wire.options}>
        <Inbox name={name} />
      </BroadcasterProvider>
    )
    const app = render(tree(news))
    await sees(app, 'subscribed')
    await server.publish(news, 'secret')
    await sees(app, 'subscribed secret 1')
    app.rerender(tree(null))
    expect(app.container.textContent).toBe('idle undefined 0')
    await until('the unsubscribe', () => wire.count('unsubscribe', news))
    expect(heard).toEqual(['secret'])
    expect(app.container.textContent).toBe('idle undefined 0')
    expect(await server.connections()).toBe(1)
  })
})
