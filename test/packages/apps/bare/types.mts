import { createTestBroadcaster, type TestBroadcaster } from '@broadcaster/testing/client'

const broadcaster: TestBroadcaster = createTestBroadcaster({ canConnect: ({ user }) => user === 'alice' })
export const status = broadcaster.client.status
