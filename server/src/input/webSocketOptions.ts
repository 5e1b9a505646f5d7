import type { IncomingMessage } from 'node:http'
import type { ZlibOptions } from 'node:zlib'
import { callback, invalid } from './optionChecks.ts'

/** Compression of frames, in the words of `ws`. */
export interface PerMessageDeflateOptions {
  /**
   * Messages of fewer bytes are not compressed.
   *
   * @default 1024
   */
  threshold?: number
  /** For what is sent: `level`, `memLevel` and `strategy`. A message is compressed once for all who listen. */
  zlibDeflateOptions?: Pick<ZlibOptions, 'level' | 'memLevel' | 'strategy'>
  /** For what clients send. */
  zlibInflateOptions?: ZlibOptions
  serverMaxWindowBits?: number
  clientMaxWindowBits?: number
  /** Always so: a frame that all clients share can't depend on what each of them was sent before. */
  serverNoContextTakeover?: true
  /** Always so, since a context for each connection would cost its memory. */
  clientNoContextTakeover?: true
  /**
   * Frames of clients that are decompressed at the same time in this process. The first server of a process sets it for all.
   *
   * @default 10
   */
  concurrencyLimit?: number
}

/** The options of the WebSocket server that an application may give. Everything else of `ws` has another name here. */
export interface WebSocketOptions {
  /** `true` is `{}`. @default false */
  perMessageDeflate?: boolean | PerMessageDeflateOptions
  /** Chooses one of the subprotocols that a client asks for; `false` chooses none. @default the first */
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

/** What is said of options of `ws` that have another name here. */
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

/** Options of `ws` 8: the server has `ws` 7, by way of express-ws, which would ignore them without a word. */
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
    if (Object.hasOwn(INSTEAD, key)) throw invalid(option, `${INSTEAD[key]} in its place`, value)
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
