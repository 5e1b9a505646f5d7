import { LAG_MS, tcpProxy, type TcpProxy } from './tcpProxy.ts'

/** A proxy with a lag before the Redis with this URL, if tests run with one. */
export async function slowRedis(url: unknown): Promise<TcpProxy | undefined> {
  if (LAG_MS === 0 || typeof url !== 'string') return
  const { hostname, port, protocol } = new URL(url)
  if (protocol !== 'redis:' || Number(port) < 1024) return
  return tcpProxy(Number(port), hostname)
}

/** The same URL with the address of the proxy. */
export function through({ port }: TcpProxy, url: string): string {
  const { href } = Object.assign(new URL(url), { hostname: '127.0.0.1', port: String(port) })
  return href
}
