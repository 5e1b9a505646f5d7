import { onTestFinished } from 'vitest'

/** Collects the uncaught errors, which would end the process, until the end of the test. */
export function watchUncaught(): unknown[] {
  const uncaught: unknown[] = []
  const note = (error: unknown) => void uncaught.push(error)
  process.on('uncaughtExceptionMonitor', note).on('unhandledRejection', note)
  onTestFinished(() => {
    process.off('uncaughtExceptionMonitor', note).off('unhandledRejection', note)
  })
  return uncaught
}
