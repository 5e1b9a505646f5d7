/** Resolves after `ms`. The timer does not keep the process running. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, ms).unref())
}
