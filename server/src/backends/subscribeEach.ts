import { failure, isDenied } from './redisReplies.ts'

/**
 * Subscribes to each channel with a command of its own: if Redis refuses one channel, it refuses the whole command. Returns the
 * channels that it refuses. Rejects if a command fails for another reason, because then nobody knows whether Redis refuses its channel.
 */
export async function subscribeEach(
  channels: readonly string[],
  subscribe: (channel: string) => Promise<unknown>,
): Promise<string[]> {
  const answers = await Promise.allSettled(channels.map(subscribe))
  const failed = answers.find((answer) => answer.status === 'rejected' && !isDenied(answer.reason))
  if (failed !== undefined) throw failure((failed as PromiseRejectedResult).reason)
  return channels.filter((_, i) => answers[i]!.status === 'rejected')
}
