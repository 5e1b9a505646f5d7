import type { DialectName } from '../generator/dialects.ts'
import type { PollDialectName } from '../generator/pollDialects.ts'
import { nchanModule } from './nginx.ts'

export type Peer = {
  /** One line for the report. */
  readonly about: string
  /** The dialect of its WebSocket clients. */
  readonly dialect: DialectName
  /** The dialect of its long-poll clients, if it has long-poll. */
  readonly poll?: PollDialectName
  /** The extensions that clients offer. */
  readonly extensions?: string
  /** Whether it is this kit's server, which is built first and can be profiled. */
  readonly isOurs?: boolean
  /** Why it can't run on this machine. */
  readonly missing?: () => string | undefined
}

/** The offer of every current browser. */
const deflate = 'permessage-deflate; client_max_window_bits'

const nginxIsMissing = () =>
  nchanModule() === undefined
    ? 'nginx with the nchan module is not installed (Debian: apt install nginx libnginx-mod-nchan)'
    : undefined

const list = {
  broadcaster: {
    about: 'this kit with its defaults: Express 5, recovery on',
    dialect: 'broadcaster',
    poll: 'broadcaster',
    isOurs: true,
  },
  'broadcaster-base': {
    about: 'the same, with clients that speak the original wire',
    dialect: 'broadcasterBase',
    isOurs: true,
  },
  'broadcaster-metrics': {
    about: 'this kit with prometheus(), scraped each second',
    dialect: 'broadcaster',
    poll: 'broadcaster',
    isOurs: true,
  },
  'broadcaster-no-recovery': {
    about: "this kit with recovery: false, the original's wire",
    dialect: 'broadcaster',
    poll: 'broadcaster',
    isOurs: true,
  },
  'broadcaster-copies': {
    about: 'this kit with recovery: { copies: 2 }',
    dialect: 'broadcaster',
    poll: 'broadcaster',
    isOurs: true,
  },
  'broadcaster-polltime-0': {
    about: 'this kit, polls answered with the first message',
    dialect: 'broadcaster',
    poll: 'broadcaster',
    isOurs: true,
  },
  'broadcaster-deflate': {
    about: 'this kit, each message compressed once and shared',
    dialect: 'broadcaster',
    extensions: deflate,
    isOurs: true,
  },
  'broadcaster-cluster': {
    about: 'this kit, one process a core on one port (node:cluster)',
    dialect: 'broadcaster',
    isOurs: true,
  },
  socketio: {
    about: 'Socket.IO 4 + @socket.io/redis-adapter, io.to().emit()',
    dialect: 'socketio',
    poll: 'socketio',
  },
  'socketio-local': {
    about: 'Socket.IO 4, io.local.to().emit()',
    dialect: 'socketio',
    poll: 'socketio',
  },
  ws8: { about: 'a loop over ws 8', dialect: 'bare' },
  'ws8-deflate': {
    about: 'a loop over ws 8, permessage-deflate for each connection',
    dialect: 'bare',
    extensions: deflate,
  },
  'express-ws': { about: 'a loop over express-ws', dialect: 'bare' },
  nchan: { about: 'nginx + nchan (C), one worker', dialect: 'nchan', poll: 'nchan', missing: nginxIsMissing },
  'raw-write': {
    about: 'floor: net, prepared buffer, one write for each message and socket',
    dialect: 'bare',
  },
  'raw-batch': { about: 'floor: net, everything of one tick in one write for each socket', dialect: 'bare' },
} satisfies Record<string, Peer>

export type PeerName = keyof typeof list
export const peers: Record<PeerName, Peer> = list
export const peerNames = Object.keys(list) as PeerName[]
