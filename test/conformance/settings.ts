/** The settings of the server that the suite tests. README.md lists them for other implementations. */
export const settings = {
  /** Auth data with this key is refused. */
  refusedKey: 'bad',
  /** Auth data with this key is accepted for this number of ms. */
  lifeKey: 'lifeMs',
  /** This channel is refused. */
  refusedChannel: 'secret',
  /** The server's control channel. */
  controlChannel: 'broadcaster',
  pollTime: 100,
  messageBytes: 65_536,
  authBytes: 4_096,
  channelBytes: 256,
  channelsPerConnection: 20,
  maxMessages: 1000,
} as const
