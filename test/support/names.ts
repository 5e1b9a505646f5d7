let count = 0

/** A channel name that no other test uses, so that a test never sees messages of another test. */
export function channelName(label = 'channel'): string {
  return `${label}-${process.pid.toString(36)}-${Date.now().toString(36)}-${count++}`
}
