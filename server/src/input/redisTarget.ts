import type { BroadcasterError } from '../errors.ts'
import { describe } from './json.ts'
import { invalid } from './optionChecks.ts'

/**
 * Options of other Redis clients that ioredis does not have. ioredis would ignore them silently and connect to
 * localhost. The value is the ioredis option with the same meaning.
 */
const NOT_OF_IOREDIS: Record<string, string> = {
  url: 'the URL itself',
  uri: 'the URL itself',
  socket: 'host, port, path and tls beside the others',
  database: 'db',
  hostname: 'host',
  user: 'username',
  pass: 'password',
  nodes: 'cluster: [...]',
  rootNodes: 'cluster: [...]',
  legacyMode: 'nothing in its place',
  disableOfflineQueue: 'nothing in its place',
  commandsQueueMaxLength: 'nothing in its place',
  pingInterval: 'nothing in its place',
  RESP: 'protocol',
}

const EXPECTED = 'a redis:// or rediss:// URL, ioredis options or an ioredis instance'

/** @throws {BroadcasterError} `invalidOption`, if ioredis cannot connect to the target or would misread it */
export function checkRedis(option: string, target: unknown): void {
  if (typeof target === 'string') return checkUrl(option, target)
  if (typeof target !== 'object' || target === null) throw invalid(option, EXPECTED, target)
  if (isIoredis(target)) return
  if (target instanceof URL) throw invalid(option, 'the URL as a string: url.href', target)
  if (Array.isArray(target))
    throw invalid(option, `${EXPECTED}; for a Cluster, use { cluster: [...] }`, target)
  if (isPromise(target)) throw invalid(option, `${EXPECTED}, which must be awaited first`, target)
  if (isClient(target)) {
    throw invalid(
      option,
      `${EXPECTED}; a client of another library, such as createClient() of node-redis, cannot be used`,
      target,
    )
  }
  checkOptions(option, target)
}

/** `instanceof` is not used, because the instance may come from another copy of ioredis. */
function isIoredis(target: object): boolean {
  const { duplicate, status, options } = target as Record<string, unknown>
  return typeof duplicate === 'function' && typeof status === 'string' && typeof options === 'object'
}

function isPromise(target: object): boolean {
  return 'then' in target && typeof target.then === 'function'
}

/** Whether the target is a client object. It is recognized by its methods; an options object does not have them. */
function isClient(target: object): boolean {
  const members = target as Record<string, unknown>
  return ['connect', 'duplicate', 'sendCommand', 'publish', 'on'].some(
    (member) => typeof members[member] === 'function',
  )
}

function checkOptions(option: string, target: object): void {
  const { host, port } = target as Record<string, unknown>
  for (const key of Object.keys(target)) {
    if (Object.hasOwn(NOT_OF_IOREDIS, key))
      throw invalid(`${option}.${key}`, `${NOT_OF_IOREDIS[key]}, since ioredis has no such option`, key)
  }
  if ('cluster' in target) checkCluster(`${option}.cluster`, target)
  // A Map, or another object without own keys, would connect to localhost.
  if (Object.keys(target).length === 0 && describe(target) !== 'an object')
    throw invalid(option, EXPECTED, target)
  if (host !== undefined && typeof host !== 'string') throw invalid(`${option}.host`, 'a host name', host)
  const isPort = /^\d{1,5}$/.test(String(port)) && Number(port) < 65536
  if (port !== undefined && port !== null && !isPort)
    throw invalid(`${option}.port`, 'a number up to 65535', port)
}

function checkCluster(option: string, { cluster, ...options }: { readonly cluster?: unknown }): void {
  const isNode = (node: unknown): boolean =>
    typeof node === 'string' || typeof node === 'number' || (typeof node === 'object' && node !== null)
  if (!Array.isArray(cluster) || cluster.length === 0 || !cluster.every(isNode))
    throw invalid(option, 'a list of nodes: [{ host, port }]', cluster)
  // `new Cluster()` of ioredis ignores these, and would connect without them.
  for (const key of ['host', 'port', 'username', 'password', 'tls', 'sentinels', 'db']) {
    if (key in options)
      throw invalid(`${option} with ${key}`, `${key} in a node of the list, or in redisOptions`, key)
  }
}

function checkUrl(option: string, target: string): void {
  if (!/^(rediss?|unix):\/\/|^\//i.test(target)) throw invalidUrl(option, EXPECTED, target)
  if (target.startsWith('/') || canBeRead(target)) return
  throw invalidUrl(
    option,
    'a URL; special characters in user and password must be encoded with encodeURIComponent',
    target,
  )
}

function canBeRead(target: string): boolean {
  try {
    const { username, password } = new URL(target)
    return decodeURIComponent(username + password) !== undefined
  } catch {
    return false
  }
}

/** The password is removed, because messages end up in logs. */
function invalidUrl(option: string, expected: string, url: string): BroadcasterError {
  return invalid(option, expected, url.replace(/(:\/\/).*@/, '$1...@'))
}
