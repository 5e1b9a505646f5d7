import { BroadcasterClient, type ClientOptions, type Gap } from '@broadcaster/client'
import {
  createTestBroadcaster,
  type TestBroadcaster,
  type TestBroadcasterOptions,
} from '@broadcaster/testing/client'
import { tidy } from '../support/tidy.ts'

/** A test broadcaster that is closed at the end of the test. */
export function create(options?: TestBroadcasterOptions): TestBroadcaster {
  return tidy(createTestBroadcaster(options))
}

/** Subscribes, and collects what arrives. */
export function listen(client: BroadcasterClient, channel: string) {
  const heard: string[] = []
  const gaps: Gap['reason'][] = []
  const subscription = client.subscribe(channel, (body) => heard.push(body), {
    onGap: ({ reason }) => gaps.push(reason),
  })
  return { heard, gaps, subscription }
}

/** Another client of the same server, as an application makes it. */
export function another(broadcaster: TestBroadcaster, options: ClientOptions = {}): BroadcasterClient {
  const { url, WebSocket, fetch } = broadcaster
  const client = new BroadcasterClient(url, { WebSocket, fetch, ...options })
  tidy({ close: () => client.disconnect() })
  return client
}
