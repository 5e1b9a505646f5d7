import type { IncomingMessage } from 'node:http'
import type { ZlibOptions } from 'node:zlib'
import { callback, invalid } from './optionChecks.ts'

/** Options for the compression of frames. The names are those of `ws`. */
export interface PerMessageDeflateOptions {
  /**
   * The minimum size of a message that is compressed, in bytes.
   *
   * @default 1024
   */
  threshold?: number
  /**
   * Options for outgoing messages: `level`, `memLevel` and `strategy`. A message is compressed once for all its
   * recipients.
   */
  zlibDeflateOptions?: Pick<ZlibOptions, 'level' | 'memLevel' | 'strategy'>
  /** Options for incoming messages. */
  zlibInflateOptions?: ZlibOptions
  serverMaxWindowBits?: number
  clientMaxWindowBits?: number
  /** Always `true`: all clients share one compressed frame, so it must not depend on earlier messages to one client. */
  serverNoContextTakeover?: true
  /** Always `true`: a compression context for each connection would cost memory for each connection. */
  clientNoContextTakeover?: true
  /**
   * The maximum number of incoming frames that this process decompresses at the same time. The first server of a
   * process sets it for all servers.
   *
   * @default 10
   */
  concurrencyLimit?: number
}

/** The options of the WebSocket server that an application may set. The other options of `ws` have other names here. */
export interface WebSocketOptions {
  /** `true` has the same meaning as `{}`. @default false */
  perMessageDeflate?: boolean | PerMessageDeflateOptions
  /** Chooses one of the subprotocols that a client requests; `false` chooses none. @default the first */
  handleProtocols?: (protocols: string[], req: IncomingMessage) => string | false
}

const OPTIONS = new Set<string>(['perMessageDeflate', 'handleProtocols'] satisfies (keyof WebSocketOptions)[])

const DEFLATE_OPTIONS = new Set<string>([
  'threshold',
  'zlibDeflateOptions',
  'zlibInflateOptions',
  'serverMaxWindowBits',
  'clientMaxWindowBits',
  'serverNoContextTakeover',
  'clientNoContextTakeover',
  'concurrencyLimit',
] satisfies (keyof PerMessageDeflateOptions)[])

/** Options of `ws` that have another name here, each with that name for the error message. */
const INSTEAD: Record<string, string> = {
  server: 'attach(server)',
  noServer: 'attach(server)',
  path: 'app.use(path, broadcaster())',
  port: 'app.listen(port)',
  host: 'app.listen(port, host)',
  backlog: 'app.listen()',
  verifyClient: 'canConnect, checkOrigin, or middleware before this one',
  clientTracking: 'stats()',
  maxPayload: 'limits.messageBytes',
}

/**
 * Options that only `ws` 8 has. The server uses `ws` 7, through express-ws, which would ignore these options silently.
 */
const OF_WS_8 = new Set([
  'autoPong',
  'allowSynchronousEvents',
  'skipUTF8Validation',
  'WebSocket',
  'closeTimeout',
])

/** @throws {BroadcasterError} `invalidOption` */
export function checkWebSocket(options: unknown): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options))
    throw invalid('webSocket', `an object with some of ${[...OPTIONS].join(', ')}`, options)
  for (const [key, value] of Object.entries(options)) {
    if (value === undefined) continue
    const option = `webSocket.${key}`
    if (Object.hasOwn(INSTEAD, key)) throw invalid(option, `${INSTEAD[key]} instead`, value)
    if (OF_WS_8.has(key)) throw invalid(option, 'nothing, since ws 7 has no such option', value)
    if (!OPTIONS.has(key)) throw invalid(option, `one of ${[...OPTIONS].join(', ')}`, key)
  }
  const { perMessageDeflate, handleProtocols } = options as WebSocketOptions
  callback('webSocket.handleProtocols', handleProtocols)
  checkDeflate(perMessageDeflate)
}

function checkDeflate(options: unknown): void {
  const option = 'webSocket.perMessageDeflate'
  if (options === undefined || typeof options === 'boolean') return
  if (typeof options !== 'object' || options === null || Array.isArray(options))
    throw invalid(option, 'true, false or an object', options)
  for (const [key, value] of Object.entries(options)) {
    if (value === undefined) continue
    if (!DEFLATE_OPTIONS.has(key))
      throw invalid(`${option}.${key}`, `one of ${[...DEFLATE_OPTIONS].join(', ')}`, key)
    if (key.endsWith('NoContextTakeover') && value !== true)
      throw invalid(`${option}.${key}`, 'true: there is no context takeover', value)
  }
}
