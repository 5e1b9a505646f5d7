import { performance } from 'node:perf_hooks'
import type { DialectName } from './dialects.ts'
import { Tally } from './tally.ts'
import { Connection, type ConnectionEvents } from './websockets.ts'

export type OpenOptions = {
  readonly port: number
  readonly dialect: DialectName
  readonly connections: number
  /** The number of different channels. Connections get them in turn. */
  readonly channels: number
  /** The index of the first channel. */
  readonly firstChannel?: number
  /** The number of channels of each connection. */
  readonly channelsEach?: number
  /** How many connections are opened at the same time. */
  readonly inFlight?: number
  readonly extensions?: string
  /** Remember positions, so that `reopen` can continue from them. */
  readonly keepPositions?: boolean
}

export type Opened = {
  /** From the first connection attempt to the last subscription. */
  readonly seconds: number
  /** Percentiles of the time of a connection until it is subscribed, in ms. */
  readonly p50: number
  readonly p99: number
}

export type Reopened = {
  /** From the first connection attempt to the last subscription. The other times are percentiles of the connections. */
  readonly seconds: number
  readonly p50: number
  readonly p99: number
  readonly max: number
  readonly recovered: number
}

/** Connections with the same options. */
export class Group {
  readonly tally = new Tally()
  connections: Connection[] = []
  gaps = 0
  /** The number of connections that the peer closed. */
  lost = 0
  /** The number of connections whose messages are compressed. */
  deflated = 0
  readonly #options: OpenOptions
  readonly #events: ConnectionEvents
  /** The position of each message number. It is the same for all connections. */
  readonly #positions = new Map<number, string>()

  constructor(options: OpenOptions) {
    this.#options = options
    this.#events = {
      tally: this.tally,
      onGap: () => this.gaps++,
      onLost: () => this.lost++,
      onDeflated: () => this.deflated++,
      isDeflated: options.extensions !== undefined,
      ...(options.keepPositions && {
        firstSeen: (number: number, text: string) => {
          if (!text.startsWith('{"__type"')) return
          const { position } = JSON.parse(text) as { position?: string }
          if (position !== undefined) this.#positions.set(number, position)
        },
      }),
    }
  }

  /** Opens and subscribes all connections. */
  async open(): Promise<Opened> {
    const { connections, channels, firstChannel = 0, channelsEach = 1, inFlight = 100 } = this.#options
    const begin = performance.now()
    const times: number[] = []
    await eachOf(connections, inFlight, async (i) => {
      const wanted = Array.from(
        { length: channelsEach },
        (_, k) => firstChannel + ((i * channelsEach + k) % channels),
      )
      const began = performance.now()
      this.connections[i] = await Connection.open({ ...this.#options, channels: wanted }, this.#events)
      times.push(performance.now() - began)
    })
    const at = percentiles(times)
    return { seconds: (performance.now() - begin) / 1000, p50: at(0.5), p99: at(0.99) }
  }

  /** Reconnects all connections at once to this port, each from its position. */
  async reopen(port: number): Promise<Reopened> {
    const begin = performance.now()
    const times: number[] = []
    let recovered = 0
    const old = this.connections
    await Promise.all(
      old.map(async (before, i) => {
        before.close()
        const position = this.#positions.get(this.tally.lastOf(before.index)) ?? before.subscribed?.position
        const options = { ...this.#options, port, channels: before.channels, index: before.index, position }
        const connection = await Connection.open(options, this.#events)
        this.connections[i] = connection
        times.push(performance.now() - begin)
        if (connection.subscribed?.recovered) recovered++
        if (connection.subscribed?.recovered === false) this.gaps++
      }),
    )
    const at = percentiles(times)
    return { seconds: at(1) / 1000, p50: at(0.5), p99: at(0.99), max: at(1), recovered }
  }

  pause(): void {
    for (const connection of this.connections) connection.pause()
  }

  resume(): void {
    for (const connection of this.connections) connection.resume()
  }

  close(): void {
    for (const connection of this.connections) connection.close()
  }
}

/** Calls `work` for 0 to `count - 1`, with at most `atOnce` calls at the same time. */
export async function eachOf(
  count: number,
  atOnce: number,
  work: (index: number) => Promise<void>,
): Promise<void> {
  let next = 0
  const worker = async () => {
    while (next < count) await work(next++)
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, count) }, worker))
}

/** Returns the time that this share of the connections does not exceed. */
function percentiles(times: number[]): (share: number) => number {
  times.sort((a, b) => a - b)
  return (share) => times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0
}
