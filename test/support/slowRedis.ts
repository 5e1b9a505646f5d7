import { tcpProxy, type TcpProxy } from './tcpProxy.ts'

/**
 * With `REDIS_LAG_MS=50 npm test -- tests`, every node of a test hears from Redis later than the test itself does: each of its
 * connections by another time, up to this one. So tests that pass only because Redis is faster than they are fail.
 */
const LAG_MS = Number(process.env['REDIS_LAG_MS'] ?? 0)

/** A proxy before the Redis with this URL, if tests run with a lag. */
export async function slowRedis(url: unknown): Promise<TcpProxy | undefined> {
  if (LAG_MS === 0 || typeof url !== 'string') return
  const { hostname, port, protocol } = new URL(url)
  if (protocol !== 'redis:' || Number(port) < 1024) return
  const proxy = await tcpProxy(Number(port), hostname)
  proxy.delay(() => Math.random() * LAG_MS, 'down')
  return proxy
}

/** The same URL with the address of the proxy. */
export function through({ port }: TcpProxy, url: string): string {
  const { href } = Object.assign(new URL(url), { hostname: '127.0.0.1', port: String(port) })
  return href
}
