/** The channels of a run. Names are equally long, so that all messages of a run are. */
export function channelName(index: number): string {
  return `news-${String(index).padStart(5, '0')}`
}
