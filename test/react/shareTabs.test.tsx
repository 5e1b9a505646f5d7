import { shareTabs } from '@broadcaster/client'
import { BroadcasterProvider, useChannelMessages } from '@broadcaster/react'
import { render } from '@testing-library/react'
import { StrictMode } from 'react'
import { expect, it } from 'vitest'
import { stubBrowser } from '../support/webLocks.ts'
import { until } from '../support/waiting.ts'
import { recordWire, sees, startServer, type LiveServer } from './support.tsx'

// Pages of one process are like tabs. In test/browser they are in real tabs.

function News() {
  const { messages, status } = useChannelMessages('news', { select: (body) => body })
  return <p>{`${status} [${messages.join(' ')}]`}</p>
}

/** A page with a provider. Its options are new objects in every render, as in an application. */
function openTab(server: LiveServer, user: string) {
  const wire = recordWire()
  const page = () => (
    <StrictMode>
      <BroadcasterProvider url={server.url} auth={{ user }} shareTabs={shareTabs()} {...wire.options}>
        <News />
      </BroadcasterProvider>
    </StrictMode>
  )
  const { container, rerender, unmount } = render(page())
  return { container, wire, unmount, renderAgain: () => rerender(page()) }
}

it('providers in several tabs of a user share one connection, and the next tab takes it over', async () => {
  stubBrowser()
  const server = await startServer()
  const first = openTab(server, 'alice')
  await sees(first, 'subscribed []')
  const second = openTab(server, 'alice')
  await sees(second, 'subscribed []')
  expect(await server.connections()).toBe(1)

  await server.publish('news', 1)
  for (const tab of [first, second]) {
    await sees(tab, 'subscribed [1]')
    tab.renderAgain()
  }
  first.unmount()
  await server.publish('news', 2)
  await sees(second, '[1 2]')
  // The provider of the first tab disconnects a second after it was unmounted.
  await until('the second tab to connect', () => second.wire.connections > 0)
  await server.publish('news', 3)
  await sees(second, 'subscribed [1 2 3]')
  expect([first.wire.connections, second.wire.connections]).toEqual([1, 1])
})

it('providers of other users have connections of their own', async () => {
  stubBrowser()
  const server = await startServer()
  const tabs = [openTab(server, 'alice'), openTab(server, 'bob')]
  for (const tab of tabs) await sees(tab, 'subscribed []')
  expect(await server.connections()).toBe(2)
  expect(server.auths.map(({ user }) => user).sort()).toEqual(['alice', 'bob'])
})
