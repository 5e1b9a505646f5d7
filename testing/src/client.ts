import { makeTestBroadcaster, type TestBroadcaster } from './broadcaster.ts'
import { closeAfterTests } from './closeAfterTests.ts'
import type { TestBroadcasterOptions } from './options.ts'

export type { TestBroadcaster } from './broadcaster.ts'
export type { TestBroadcasterOptions } from './options.ts'
// So that an application can name the type of `sent('subscribe')` without a dependency on the protocol.
export type { Auth, ClientMessage, Ping, Poll, Subscribe, Unsubscribe } from '@broadcaster/protocol'

/** A broadcaster in memory, for tests without React. */
export function createTestBroadcaster(options: TestBroadcasterOptions = {}): TestBroadcaster {
  const acting = { during: (task: () => Promise<void>) => task(), deliver: (task: () => void) => task() }
  return closeAfterTests(makeTestBroadcaster(options, acting))
}
