import type { Cluster, NatMap, Redis, RedisOptions } from 'ioredis'
import net from 'node:net'
import tls from 'node:tls'
import { pause } from '../time/pause.ts'
import { troubleOf } from './redisReplies.ts'
import { ownSettings, type RoleSettings } from './redisClients.ts'

/** How long a connection waits before it asks again where the owner is. */
const RETRY_MS = 100

const MOVED = /^MOVED (\d+) (\S+)$/

interface Address {
  readonly host: string
  readonly port: number
}

/** What ioredis needs of a connector. The abstract class of ioredis may be missing, or be of another copy. */
interface Connector {
  connecting: boolean
  connect(emit: unknown): Promise<net.Socket>
  disconnect(): void
  check(info: unknown): boolean
}
type ConnectorClass = new (options: RedisOptions) => Connector

/**
 * Makes plain connections to the master that owns one slot of a Cluster. At each attempt to connect, the servers of the
 * Cluster are asked which one it is. Everything else is as the application has set it for its Cluster: TLS, user,
 * password, `natMap`, a connector of its own.
 */
export class SlotOwner {
  readonly #slot: number
  /** Called when a client is made. The Cluster has a connection to a server then. */
  readonly #cluster: () => Cluster
  /** The owner, as a server has just said in a redirection. Each connection tries it once. */
  #redirectedTo: Address | null = null
  /** Where the connection for commands was made to last. */
  #commandsAt: Address | null = null
  /** A server that says that the Cluster is down. Others may have replaced it, and it may say that it is still the owner. */
  #downAt: Address | null = null

  constructor(slot: number, cluster: () => Cluster) {
    this.#slot = slot
    this.#cluster = cluster
  }

  /** Makes a client of the same class as the clients of the Cluster. It must have connected once. */
  client(role: RoleSettings, kind: 'subscriber' | 'commands'): Redis {
    const [node] = this.#cluster().nodes()
    const { Connector = DirectConnector } = node!.options as unknown as { Connector?: ConnectorClass }
    const settings = { ...ownSettings, ...role, readOnly: false, Connector: this.#connector(Connector, kind) }
    // The type of ioredis wants its own abstract class.
    return node!.duplicate(settings as unknown as Partial<RedisOptions>)
  }

  /** The connection for commands got this error. */
  refused(error: Error): void {
    if (troubleOf(error) === 'CLUSTERDOWN') this.#downAt = this.#commandsAt
    else this.#redirected(error.message)
  }

  /** Whether this text of an error MOVED is about the slot. */
  isRedirection(text: string): boolean {
    return Number(MOVED.exec(text)?.[1]) === this.#slot
  }

  /** Takes the address from the text of an error MOVED. */
  #redirected(text: string): void {
    if (!this.isRedirection(text)) return
    const [, , address] = MOVED.exec(text)!
    const colon = address!.lastIndexOf(':')
    const [host, port] = [address!.slice(0, colon), Number(address!.slice(colon + 1))]
    // The host is empty if the server does not know by which name it is reached.
    this.#redirectedTo = host === '' ? null : this.#mapped({ host, port })
  }

  #connector(Direct: ConnectorClass, kind: 'subscriber' | 'commands'): ConnectorClass {
    let tried: Address | null = null
    const find = async (isWanted: () => boolean): Promise<Address> => {
      const redirectedTo = this.#redirectedTo
      const isNew = redirectedTo !== null && redirectedTo !== tried
      const address = isNew ? (tried = redirectedTo) : await this.#find(isWanted)
      if (kind === 'commands') this.#commandsAt = address
      return address
    }
    return class OwnerConnector implements Connector {
      connecting = false
      readonly #options: RedisOptions
      #direct: Connector | null = null

      constructor(options: RedisOptions) {
        this.#options = options
      }

      async connect(emit: unknown): Promise<net.Socket> {
        this.connecting = true
        const address = await find(() => this.connecting)
        this.#direct = new Direct({ ...this.#options, ...address })
        return this.#direct.connect(emit)
      }

      disconnect(): void {
        this.connecting = false
        this.#direct?.disconnect()
      }

      check(info: unknown): boolean {
        return this.#direct!.check(info)
      }
    }
  }

  /** Asks until a server knows the owner. If a connector rejected, ioredis would give up for ever. */
  async #find(isWanted: () => boolean): Promise<Address> {
    for (;;) {
      const address = await this.#ask()
      if (!isWanted()) throw new Error('Connection is closed.')
      if (address !== null) return address
      await pause(RETRY_MS)
    }
  }

  /**
   * The first answer of any server, if possible one that does not lead to the server that is down. It may be outdated. The
   * connection then does not become the order's connection, and the servers are asked again.
   */
  async #ask(): Promise<Address | null> {
    const answers = this.#cluster()
      .nodes()
      .map(async (node) => this.#ownerIn(await node.cluster('SLOTS'), node))
    const down = this.#downAt
    const others = answers.map(async (answer) => {
      const address = await answer
      if (address.host === down?.host && address.port === down.port) throw new Error('The server is down')
      return address
    })
    return Promise.any(others).catch(() => Promise.any(answers).catch(() => null))
  }

  #ownerIn(table: unknown, asked: Redis): Address {
    type Range = [from: number, to: number, master: [host: string | null, port: number]]
    const range = (table as Range[]).find(([from, to]) => from <= this.#slot && this.#slot <= to)
    if (range === undefined) throw new Error('No server owns the slot')
    const [host, port] = range[2]
    // Without a host, the server is reached by the host of the server that was asked.
    return this.#mapped({ host: host || asked.options.host!, port })
  }

  #mapped(address: Address): Address {
    const map: NatMap | undefined = this.#cluster().options.natMap
    const key = `${address.host}:${address.port}`
    const mapped = typeof map === 'function' ? map(key) : map?.[key]
    return mapped ?? address
  }
}

/** Connects to `host` and `port`, as ioredis does without a connector. */
class DirectConnector implements Connector {
  connecting = false
  readonly #options: RedisOptions
  #stream: net.Socket | null = null

  constructor(options: RedisOptions) {
    this.#options = options
  }

  async connect(): Promise<net.Socket> {
    this.connecting = true
    const { host, port, family, tls: secure } = this.#options
    const address = {
      host: host!,
      port: port!,
      ...(family !== undefined && { family }),
    }
    this.#stream = secure ? tls.connect({ ...address, ...secure }) : net.connect(address)
    return this.#stream
  }

  disconnect(): void {
    this.connecting = false
    this.#stream?.destroy()
  }

  check(): boolean {
    return true
  }
}
