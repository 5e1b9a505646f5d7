import type { ClientOptions } from '@broadcaster/client'
import { defaultLimits, type CanConnect, type Limits } from './server/testServer.ts'

export interface TestBroadcasterOptions {
  /**
   * Options of `client`, such as `mode` or `auth`. The default of `pingInterval` is 24 days here: there is no dead connection
   * to find, and a test that moves fake timers far ahead leaves no time for the answer to a ping.
   *
   * @default {}
   */
  client?: Omit<ClientOptions, 'WebSocket' | 'fetch'>
  /**
   * May this client connect? Like `canConnect` of the server: `auth` is what the client sent. Sync or async. If it throws, the
   * client is refused. `{ expiresAt }` accepts the client until then, by the timers of the test, as `accept(context, { expiresAt })`
   * does on the server.
   *
   * @default everyone
   */
  canConnect?: CanConnect
  /**
   * Lower limits, to test what the application does beyond a limit.
   *
   * @default those of the server: { authBytes: 16384, channelBytes: 512, channelsPerConnection: 1000 }
   */
  limits?: Partial<Limits>
}

/** @throws {TypeError} with the expected and the actual value */
export function readOptions(
  options: TestBroadcasterOptions,
): Required<TestBroadcasterOptions> & { limits: Limits } {
  const { client = {}, canConnect = () => true, limits = {} } = options
  checkNames('option', Object.keys(options), ['client', 'canConnect', 'limits'])
  checkNames('limit', Object.keys(limits), Object.keys(defaultLimits))
  if (typeof canConnect !== 'function') throw wrong('canConnect', 'a function', canConnect)
  for (const [name, value] of Object.entries(limits)) {
    if (!Number.isInteger(value) || value < 1) throw wrong(`limits.${name}`, 'a whole number above 0', value)
  }
  return { client, canConnect, limits: { ...defaultLimits, ...limits } }
}

function checkNames(what: string, names: readonly string[], known: readonly string[]): void {
  const unknown = names.find((name) => !known.includes(name))
  if (unknown === undefined) return
  throw new TypeError(
    `createTestBroadcaster(): there is no ${what} ${unknown}, there are ${known.join(', ')}`,
  )
}

function wrong(name: string, expected: string, value: unknown): TypeError {
  return new TypeError(`createTestBroadcaster(): ${name} should be ${expected}, got ${String(value)}`)
}
