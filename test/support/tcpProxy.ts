import net from 'node:net'
import type { AddressInfo } from 'node:net'
// Tests replace the global one.
import { setTimeout } from 'node:timers'

/**
 * With `REDIS_LAG_MS=50 npm test -- tests`, every node of a test hears from Redis later than the test itself does: each of its
 * connections by another time, up to this one. So tests that pass only because Redis is faster than they are fail. A proxy that
 * a test makes itself has the lag too: what it has not passed on yet is lost when the test cuts its connections.
 */
export const LAG_MS = Number(process.env['REDIS_LAG_MS'] ?? 0)

/** `up`: from the client to the target. `down`: from the target to the client. */
export type Direction = 'up' | 'down'

export type TcpProxy = {
  readonly port: number
  /** The `host:port` of the proxy. Clients connect to it instead of the target. */
  readonly address: string
  readonly connections: number
  /** Breaks every open connection. */
  cut(): void
  /** Forwards nothing any more, and closes nothing, like a half-open connection. New connections stall too. */
  stall(direction?: Direction): void
  /** Stalls the connections that are open now, for ever. New connections work. */
  swallow(): void
  /** From now on, new connections go to this port. Open connections keep their target. */
  retarget(port: number): void
  /** Ends `stall`, `delay` and `refuse`. Data that was held back arrives. */
  resume(): void
  /** Delays all data by this time, in order, in one or both directions. */
  delay(ms: number, direction?: Direction): void
  /** Breaks new connections at once. */
  refuse(): void
  close(): Promise<void>
}

type Link = {
  readonly from: net.Socket
  readonly to: net.Socket
  readonly direction: Direction
  readonly lagMs: number
  isSwallowed: boolean
}

/** A proxy for any TCP connection (Redis, WebSocket, HTTP) that simulates network failures. */
export async function tcpProxy(targetPort: number, targetHost = '127.0.0.1'): Promise<TcpProxy> {
  const links = new Set<Link>()
  const stalled = { up: false, down: false }
  const delays: Record<Direction, number> = { up: 0, down: 0 }
  let refusing = false
  let target = targetPort

  const delayOf = (link: Link): number => delays[link.direction] + link.lagMs

  const pass = (link: Link) => {
    link.from.on('data', (chunk) => {
      const ms = delayOf(link)
      if (ms === 0) {
        // Backpressure is forwarded, so that the writer notices when the reader stops.
        if (!link.to.write(chunk)) link.from.pause()
        return
      }
      setTimeout(() => link.to.writable && link.to.write(chunk), ms)
    })
    link.to.on('drain', () => {
      if (!stalled[link.direction] && !link.isSwallowed) link.from.resume()
    })
    link.from.on('end', () => setTimeout(() => link.to.end(), delayOf(link)))
    link.from.on('error', () => link.to.destroy())
    link.from.on('close', () => {
      links.delete(link)
      if (!stalled.up && !stalled.down && !link.isSwallowed)
        setTimeout(() => link.to.destroySoon(), delayOf(link))
    })
    if (stalled[link.direction]) link.from.pause()
  }

  const server = net.createServer((near) => {
    if (refusing) return void near.resetAndDestroy()
    const far = net.connect(target, targetHost)
    near.setNoDelay(true)
    far.setNoDelay(true)
    const both: Link[] = [
      { from: near, to: far, direction: 'up', lagMs: 0, isSwallowed: false },
      { from: far, to: near, direction: 'down', lagMs: Math.random() * LAG_MS, isSwallowed: false },
    ]
    for (const link of both) {
      links.add(link)
      pass(link)
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo

  const cut = () => {
    for (const { from } of links) from.destroy()
  }
  return {
    port,
    address: `127.0.0.1:${port}`,
    get connections() {
      return links.size / 2
    },
    cut,
    stall(direction) {
      if (direction !== 'down') stalled.up = true
      if (direction !== 'up') stalled.down = true
      for (const link of links) if (stalled[link.direction]) link.from.pause()
    },
    swallow() {
      for (const link of links) {
        link.isSwallowed = true
        link.from.pause()
      }
    },
    retarget(port) {
      target = port
    },
    resume() {
      stalled.up = stalled.down = refusing = false
      delays.up = delays.down = 0
      for (const { from, isSwallowed } of links) if (!isSwallowed) from.resume()
    },
    delay(ms, direction) {
      if (direction !== 'down') delays.up = ms
      if (direction !== 'up') delays.down = ms
    },
    refuse() {
      refusing = true
    },
    close: () => {
      cut()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
}
