let count = 0

/** A channel name that no other test has, so that nothing left over by one can be seen by another. */
export function channelName(label = 'channel'): string {
  return `${label}-${process.pid.toString(36)}-${Date.now().toString(36)}-${count++}`
}
