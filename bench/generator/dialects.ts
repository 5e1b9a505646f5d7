import { channelName } from './channels.ts'

/** One connection as a dialect sees it. */
export type Speaker = {
  /** The indexes of its channels. In most scenarios, it is one. */
  readonly channels: readonly number[]
  /** The position from which to continue, if the peer has positions and the last connection had one. */
  readonly position: string | undefined
  send(text: string): void
  /** Called when a channel is subscribed. */
  ready(answer?: Subscribed): void
  /** Called when the peer reports that messages were missed. */
  gap(): void
  fail(reason: string): void
}

/** The fields of `subscribeOk` of this kit. */
export type Subscribed = {
  readonly position?: string
  readonly recovered?: boolean
  readonly messages?: readonly (readonly [body: string, position: string])[]
}

/** How clients talk to a peer over WebSocket, and how they recognize a relayed message. */
export type Dialect = {
  path(speaker: Speaker): string
  isMessage(chunk: Buffer, start: number): boolean
  /** Called after the handshake. */
  opened?(speaker: Speaker): void
  /** Called with each text frame that is not a relayed message. */
  heard(speaker: Speaker, text: string): void
}

const byte = (character: string) => character.charCodeAt(0)

/** This kit: PROTOCOL.md, with the additions. */
const broadcaster: Dialect = {
  path: () => '/broadcast',
  // Only the type `message` begins with m: {"__type":"message"
  isMessage: (chunk, start) => chunk[start + 11] === byte('m'),
  opened: (speaker) => speaker.send('{"__type":"auth","__v":1}'),
  heard(speaker, text) {
    const message = JSON.parse(text)
    switch (message.__type) {
      case 'authOk':
        for (const channel of speaker.channels) {
          const position = speaker.position
          speaker.send(JSON.stringify({ __type: 'subscribe', channel: channelName(channel), position }))
        }
        break
      case 'subscribeOk':
        speaker.ready(message)
        break
      case 'gap':
        speaker.gap()
        break
      case 'pong':
        break
      default:
        speaker.fail(text)
    }
  },
}

/** A client of the original: base messages only. */
const broadcasterBase: Dialect = {
  ...broadcaster,
  opened: (speaker) => speaker.send('{"__type":"auth"}'),
}

/** Socket.IO 4 over WebSocket only: Socket.IO packets inside Engine.IO packets. */
const socketio: Dialect = {
  path: () => '/socket.io/?EIO=4&transport=websocket',
  isMessage: (chunk, start) => chunk[start] === byte('4') && chunk[start + 1] === byte('2'),
  heard(speaker, text) {
    if (text.startsWith('0')) speaker.send('40')
    else if (text.startsWith('40')) {
      for (const channel of speaker.channels) speaker.send(`420["subscribe","${channelName(channel)}"]`)
    } else if (text.startsWith('430')) speaker.ready()
    else if (text === '2') speaker.send('3')
    else speaker.fail(text)
  },
}

/** The hand-written relays and the floors: the channel is in the URL, and `ok` confirms the subscription. */
const bare: Dialect = {
  path: (speaker) => `/?channel=${channelName(speaker.channels[0]!)}`,
  isMessage: (chunk, start) => chunk[start] === byte('{'),
  heard(speaker, text) {
    if (text === 'ok') speaker.ready()
    else speaker.fail(text)
  },
}

/** nchan sends no confirmation: a client is subscribed after the handshake. */
const nchan: Dialect = {
  path: (speaker) => `/sub/${channelName(speaker.channels[0]!)}`,
  isMessage: () => true,
  opened: (speaker) => speaker.ready(),
  heard: (speaker, text) => speaker.fail(text),
}

export const dialects = { broadcaster, broadcasterBase, socketio, bare, nchan }
export type DialectName = keyof typeof dialects
