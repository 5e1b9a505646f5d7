import { afterAll, describe } from 'vitest'
import { tidy } from '../support/tidy.ts'
import type { Kind } from './subjects.ts'
import { authentication } from './suite/authentication.ts'
import { channels } from './suite/channels.ts'
import { history } from './suite/history.ts'
import { longPoll } from './suite/longPoll.ts'
import { messages } from './suite/messages.ts'
import { polling } from './suite/polling.ts'
import { positions } from './suite/positions.ts'
import { recovery } from './suite/recovery.ts'
import { versions } from './suite/versions.ts'
import { webSocket } from './suite/webSocket.ts'

/** All rules of PROTOCOL.md that can be observed from outside, in its order. */
export async function conformance(kind: Kind): Promise<void> {
  // Hooks run in the reverse order, so this one runs after `tidy` has closed the server.
  afterAll(() => kind.end?.())
  const subject = tidy(await kind.start())
  describe(kind.name, () => {
    for (const part of [
      versions,
      webSocket,
      longPoll,
      polling,
      authentication,
      channels,
      messages,
      positions,
      history,
      recovery,
    ]) {
      part(subject, kind)
    }
  })
}
