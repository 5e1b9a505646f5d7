import type { AnyChannelMap } from '@broadcaster/channels'
import { isDevelopment } from './development.ts'
import { BroadcasterError } from './errors.ts'
import type { OpenTransport } from './transport.ts'
import type { AuthData, ClientOptions, FetchLike, Mode, WebSocketConstructor } from './types.ts'

/** The options, with defaults. In development they are valid. */
export interface Settings {
  readonly url: string
  /** Tools for developers change it. */
  mode: Mode
  readonly auth: AuthData | (() => AuthData | Promise<AuthData>)
  readonly channelMap: AnyChannelMap | undefined
  readonly timeoutMs: number
  readonly pingIntervalMs: number
  readonly maxAttempts: number
  readonly headers?: Record<string, string>
  readonly WebSocket?: WebSocketConstructor
  readonly fetch?: FetchLike
  /** Takes the place of both transports. */
  readonly open?: OpenTransport | undefined
}

/** Longer timers overflow and fire at once. */
const LONGEST_TIMER_MS = 2_147_483_647

export function readOptions(url: string | URL, options: ClientOptions): Settings {
  const settings: Settings = {
    ...options,
    url: String(url),
    mode: options.mode ?? 'auto',
    auth: options.auth ?? {},
    channelMap: options.channels,
    timeoutMs: options.timeout ?? 30_000,
    pingIntervalMs: options.pingInterval ?? 30_000,
    maxAttempts: options.maxAttempts ?? Infinity,
  }
  const { shareTabs } = options
  if (isDevelopment) {
    check(url, settings)
    expect(
      'shareTabs',
      shareTabs,
      !shareTabs || typeof shareTabs === 'function',
      "shareTabs(), a function of '@broadcaster/client'",
    )
  }
  return shareTabs ? shareTabs(settings) : settings
}

function check(url: string | URL, settings: Settings): void {
  const { mode, auth, channelMap, timeoutMs, pingIntervalMs, maxAttempts, headers } = settings
  expect(
    'url',
    url,
    url && /^((https?|wss?):\/\/.|[./?]|[^:]+$)/i.test(settings.url),
    'a path, or an http(s):// or ws(s):// URL',
  )
  expect('mode', mode, ['auto', 'websocket', 'longpoll'].includes(mode), "'auto', 'websocket' or 'longpoll'")
  expect('auth', auth, typeof auth === 'function' || isObject(auth), 'an object or a function')
  expect(
    'channels',
    channelMap,
    !channelMap || typeof channelMap.match === 'function',
    'what defineChannels() returns',
  )
  expect('timeout', timeoutMs, isDuration(timeoutMs), 'milliseconds above 0')
  expect('pingInterval', pingIntervalMs, isDuration(pingIntervalMs), 'milliseconds above 0')
  const isCount = maxAttempts === Infinity || (Number.isInteger(maxAttempts) && maxAttempts >= 0)
  expect('maxAttempts', maxAttempts, isCount, 'a whole number from 0, or Infinity')
  expect('headers', headers, !headers || isObject(headers), 'an object')
  for (const name of ['WebSocket', 'fetch'] as const) {
    const value = settings[name]
    expect(name, value, value === undefined || typeof value === 'function', 'a function')
  }
}

/** Looked up at each call, because a polyfill may be installed late, and a server that only renders may have none. */
export function webSocketOf(settings: Settings): WebSocketConstructor | undefined {
  return settings.WebSocket ?? globalThis.WebSocket
}

export function fetchOf(settings: Settings): FetchLike | undefined {
  return settings.fetch ?? globalThis.fetch
}

/** @param sentence says what is missing. */
export function required<Implementation>(
  implementation: Implementation | undefined,
  sentence: string | false,
): Implementation {
  if (implementation) return implementation
  throw new BroadcasterError('options', sentence)
}

/** The URL for a transport. A path is resolved like any other URL on the page. The scheme is that of the transport. */
export function resolveUrl(settings: Settings, scheme: 'ws' | 'http'): string {
  // `document.baseURI` is also right in a frame without a URL of its own, and on a page with a `<base>`. Workers have no
  // document.
  const base: string | undefined = globalThis.document?.baseURI ?? globalThis.location?.href
  let url: URL
  try {
    url = new URL(settings.url, base)
  } catch (error) {
    throw new BroadcasterError(
      'options',
      isDevelopment &&
        `'${settings.url}' is not a whole URL, and can't be resolved against the page (${base})`,
      error,
    )
  }
  url.protocol = url.protocol.replace(/ws|http/, scheme)
  url.hash = ''
  return url.href
}

export function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isDuration(value: number): boolean {
  return typeof value === 'number' && value > 0 && value <= LONGEST_TIMER_MS
}

function expect(name: string, value: unknown, isValid: unknown, expected: string): void {
  if (isValid) return
  const got = typeof value === 'string' ? `'${value}'` : String(value)
  throw new BroadcasterError('options', `BroadcasterClient: ${name} should be ${expected}, got ${got}`)
}
