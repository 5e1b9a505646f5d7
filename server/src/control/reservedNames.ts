/**
 * Channels on which Redis publishes events of its keys, its cluster and its sentinels. Their messages must not reach
 * clients. https://redis.io/docs/latest/develop/pubsub/keyspace-notifications/
 */
const OF_REDIS = /^__(?:\w*key(?:space|event)\w*@|redis__:|sentinel__:)/

/**
 * Whether no client may subscribe to the channel, whatever the application allows. Reserved are the channels of Redis
 * and of this kit.
 */
export function isReservedName(
  channel: string,
  own: { readonly controlChannel: string; readonly controlNamespace: string },
): boolean {
  return channel === own.controlChannel || channel.startsWith(own.controlNamespace) || OF_REDIS.test(channel)
}
