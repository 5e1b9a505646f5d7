import { BroadcasterProvider } from '@broadcaster/react'
import { createElement, useEffect, type ReactNode } from 'react'
import { makeTestBroadcaster, type TestBroadcaster as WithoutReact } from './broadcaster.ts'
import { closeAfterTests } from './closeAfterTests.ts'
import type { TestBroadcasterOptions } from './options.ts'
import { inAct } from './react.ts'

export type { TestBroadcasterOptions } from './options.ts'
// So that an application can name the type of `sent('subscribe')` without a dependency on the protocol.
export type { Auth, ClientMessage, Ping, Poll, Subscribe, Unsubscribe } from '@broadcaster/protocol'

export interface TestBroadcaster extends WithoutReact {
  /**
   * Provides `client` to the hooks in its children, and connects it when it is mounted:
   * `render(<News />, { wrapper: broadcaster.wrapper })`.
   */
  readonly wrapper: (props: { children?: ReactNode }) => ReactNode
}

/**
 * A broadcaster in memory, for tests. Without React, use that of `@broadcaster/testing/client`.
 *
 * ```tsx
 * const broadcaster = createTestBroadcaster()
 * render(<News />, { wrapper: broadcaster.wrapper })
 * await broadcaster.publish('news', 'hello')
 * screen.getByText('hello')
 * ```
 */
export function createTestBroadcaster(options: TestBroadcasterOptions = {}): TestBroadcaster {
  const broadcaster = makeTestBroadcaster(options, inAct)
  const { client } = broadcaster
  const wrapper: TestBroadcaster['wrapper'] = ({ children }) => {
    useEffect(() => {
      if (client.status === 'idle') void client.connect()
    }, [])
    return createElement(BroadcasterProvider, { client }, children)
  }
  return closeAfterTests({ ...broadcaster, wrapper })
}
