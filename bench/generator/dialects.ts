import { channelName } from './channels.ts'

/** One connection as a dialect sees it. */
export type Speaker = {
  /** The index of the channels it wants; most want one. */
  readonly channels: readonly number[]
  /** The position to continue from, if the peer knows such a thing and the connection had one. */
  readonly position: string | undefined
  send(text: string): void
  /** A channel is subscribed. */
  ready(answer?: Subscribed): void
  /** The peer told of missed messages. */
  gap(): void
  fail(reason: string): void
}

/** What this kit says beside `subscribeOk`. */
export type Subscribed = {
  readonly position?: string
  readonly recovered?: boolean
  readonly messages?: readonly (readonly [body: string, position: string])[]
}

/** What a peer expects to hear over WebSocket, and how a relayed message looks there. */
export type Dialect = {
  path(speaker: Speaker): string
  isMessage(chunk: Buffer, start: number): boolean
  /** The handshake is done. */
  opened?(speaker: Speaker): void
  /** A text frame that is no message. */
  heard(speaker: Speaker, text: string): void
}

const byte = (character: string) => character.charCodeAt(0)

/** This kit: PROTOCOL.md, with the additions. */
const broadcaster: Dialect = {
  path: () => '/broadcast',
  // {"__type":"message" is the only type that begins with m.
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

/** Socket.IO 4 over WebSocket only: Engine.IO packets, Socket.IO packets within. */
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

/** The hand-written relays and the floors: the channel is in the URL, `ok` says that it is subscribed. */
const bare: Dialect = {
  path: (speaker) => `/?channel=${channelName(speaker.channels[0]!)}`,
  isMessage: (chunk, start) => chunk[start] === byte('{'),
  heard(speaker, text) {
    if (text === 'ok') speaker.ready()
    else speaker.fail(text)
  },
}

/** nchan says nothing at all: a subscriber is one as soon as the handshake is done. */
const nchan: Dialect = {
  path: (speaker) => `/sub/${channelName(speaker.channels[0]!)}`,
  isMessage: () => true,
  opened: (speaker) => speaker.ready(),
  heard: (speaker, text) => speaker.fail(text),
}

export const dialects = { broadcaster, socketio, bare, nchan }
export type DialectName = keyof typeof dialects
