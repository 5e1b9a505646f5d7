/** A channel of a run. All names have the same length, so all messages of a run have the same length. */
export function channelName(index: number): string {
  return `news-${String(index).padStart(5, '0')}`
}
