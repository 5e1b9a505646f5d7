/**
 * Channels in which Redis itself tells of its keys, its cluster and its sentinels: whoever hears them hears what is not
 * meant for clients. https://redis.io/docs/latest/develop/pubsub/keyspace-notifications/
 */
const OF_REDIS = /^__(?:\w*key(?:space|event)\w*@|redis__:|sentinel__:)/

/** Whether no client may have the channel, whatever the application says: Redis' own names, and those of this kit. */
export function isReservedName(
  channel: string,
  own: { readonly controlChannel: string; readonly controlNamespace: string },
): boolean {
  return channel === own.controlChannel || channel.startsWith(own.controlNamespace) || OF_REDIS.test(channel)
}
