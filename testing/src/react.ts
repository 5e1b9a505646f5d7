import { flushFrame } from '@broadcaster/react'
import * as React from 'react'
import type { Acting } from './broadcaster.ts'

type Act = (task: () => unknown) => PromiseLike<unknown>

// React 19, and React 18 before 18.3. A production build has none. Bundlers complain of names that a version does not have.
const ofReact: Record<string, unknown> = { ...React }
const act = (ofReact['act'] ?? ofReact['unstable_act']) as Act | undefined

/**
 * To end an async act(), React uses `setImmediate` of Node's module `timers`, and keeps the function that it found there first.
 * The fake timers of Sinon replace it there too. If React found that one, an async act() would never end.
 */
const setImmediateOfNode: object = globalThis.process?.getBuiltinModule?.('timers').setImmediate ?? {}
const canEnd = !('clock' in setImmediateOfNode)
// So React finds the real one now.
if (canEnd) act?.(() => {}).then(() => {})

/** Whether the test wants that changes happen in act(). Testing Library turns it off while it waits. */
function isActing(): boolean {
  return (globalThis as { IS_REACT_ACT_ENVIRONMENT?: boolean }).IS_REACT_ACT_ENVIRONMENT === true
}

/** In act(), and with what waits for a frame. */
function actNow(task: () => void): void {
  if (!act || !isActing()) return task()
  void act(() => {
    task()
    flushFrame()
  })
}

/** Everything happens in act(). What waits for a frame is rendered at the end of a task. */
export const inAct: Acting = {
  during: async (task) => {
    if (act && canEnd && isActing()) {
      await act(async () => {
        await task()
        flushFrame()
      })
    } else {
      await task()
      actNow(flushFrame)
    }
  },
  deliver: actNow,
}
