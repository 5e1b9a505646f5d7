/**
 * What the suite takes for granted of the server it talks to. README.md says the same to those who run it against
 * an implementation of their own.
 */
export const settings = {
  /** Auth data with this key is refused. */
  refusedKey: 'bad',
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
