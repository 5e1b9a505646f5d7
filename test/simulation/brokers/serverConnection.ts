import { slotOf } from '../../../server/src/backends/slots.ts'
import { encodePush, encodeReply, ReplyError, Status, type Reply } from './resp.ts'
import { scriptOf } from './scripts.ts'
import type { Kind, Server } from './server.ts'
import type { SimulatedSocket } from './socket.ts'

const OK = new Status('OK')

const subscriptionKinds: ReadonlyMap<string, Kind> = new Map([
  ['subscribe', 'classic'],
  ['unsubscribe', 'classic'],
  ['ssubscribe', 'shard'],
  ['sunsubscribe', 'shard'],
])

/** The server's end of a connection. */
export class ServerConnection {
  readonly classic = new Set<string>()
  readonly shard = new Set<string>()
  readonly socket: SimulatedSocket
  readonly #server: Server
  readonly #hasShards: boolean
  #version: 2 | 3 = 2
  #isClosed = false

  constructor(server: Server, socket: SimulatedSocket, hasShards: boolean) {
    this.#server = server
    this.socket = socket
    this.#hasShards = hasShards
    server.connections.add(this)
  }

  get isSubscriber(): boolean {
    return this.classic.size + this.shard.size > 0
  }

  close(): void {
    this.#isClosed = true
    this.#server.connections.delete(this)
  }

  push(items: readonly Reply[], message?: { readonly channel: string; readonly body: string }): void {
    const text = encodePush(items, this.#version)
    this.socket.send(message === undefined ? { text } : { text, message })
  }

  /** The server ends sharded subscriptions by itself. */
  endShard(isLeft: (channel: string) => boolean): void {
    for (const channel of this.shard) {
      if (!isLeft(channel)) continue
      this.shard.delete(channel)
      this.push(['sunsubscribe', channel, this.shard.size])
    }
  }

  execute([name, ...args]: readonly string[]): void {
    if (!this.#server.isUp) return
    const command = name!.toLowerCase()
    if (this.#subscription(command, args)) return
    const isLimited = this.#version === 2 && this.isSubscriber
    const reply =
      isLimited && command !== 'ping'
        ? new ReplyError(
            `ERR Can't execute '${command}': only (P|S)SUBSCRIBE / PING are allowed in this context`,
          )
        : isLimited
          ? ['pong', '']
          : this.#run(command, args)
    this.socket.send({ text: encodeReply(reply) })
  }

  /** Returns whether it is a command of subscriptions. */
  #subscription(command: string, args: readonly string[]): boolean {
    const kind = subscriptionKinds.get(command)
    if (kind === undefined) return false
    const error = kind === 'shard' ? this.#shardError(command, args) : null
    if (error !== null) this.socket.send({ text: encodeReply(error) })
    else if (!this.#isClosed) {
      for (const channel of args) {
        if (command.includes('unsub')) this[kind].delete(channel)
        else this[kind].add(channel)
        this.push([command, channel, this[kind].size])
      }
    }
    return true
  }

  #shardError(command: string, channels: readonly string[]): ReplyError | null {
    if (!this.#hasShards) return new ReplyError(`ERR unknown command '${command}'`)
    const [slot, ...others] = new Set(channels.map(slotOf))
    if (others.length > 0) return new ReplyError("CROSSSLOT Keys in request don't hash to the same slot")
    return this.#server.redirect(slot!, null)
  }

  #run(command: string, args: readonly string[]): Reply {
    const server = this.#server
    switch (command) {
      case 'hello':
        this.#version = args[0] === '3' ? 3 : 2
        return ['server', 'redis', 'proto', this.#version]
      case 'ping':
        return new Status('PONG')
      case 'info':
        return server.info(args[0] ?? 'default')
      case 'cluster':
        if (args[0]!.toUpperCase() === 'SLOTS') return server.table
        if (args[0]!.toUpperCase() === 'INFO') return `cluster_state:${server.isIsolated ? 'fail' : 'ok'}\r\n`
        return server.line
      case 'pubsub':
        if (args[0] === 'SHARDNUMSUB')
          return this.#hasShards ? [] : new ReplyError("ERR Unknown subcommand 'SHARDNUMSUB'")
        return args.slice(1).flatMap((channel) => [channel, server.countHolders(channel)])
      case 'publish':
        return server.publish(args[0]!, args[1]!, 'classic')
      case 'spublish':
        return server.redirect(slotOf(args[0]!), null) ?? server.publish(args[0]!, args[1]!, 'shard')
      case 'eval':
      case 'evalsha': {
        const [text, , key, ...rest] = args
        const error = server.redirect(slotOf(key!), key!)
        if (error !== null) return error
        const script = scriptOf(text!)
        if (script === undefined)
          return command === 'eval' ? 1 : new ReplyError('NOSCRIPT No matching script')
        if (command === 'evalsha' && !server.scripts.has(text!))
          return new ReplyError('NOSCRIPT No matching script')
        server.scripts.add(script.hash)
        return script.run(server, key!, rest)
      }
      case 'get':
        return server.redirect(slotOf(args[0]!), args[0]!) ?? server.keys.get(args[0]!) ?? null
      default:
        return OK
    }
  }
}
