import { randomUUID } from 'node:crypto'
import type { Backend } from '../backends/backend.ts'
import type { ControlCodec } from '../control/codec.ts'
import type { ControlMessage, ControlMessageOf } from '../control/control.ts'
import { isReservedName } from '../control/reservedNames.ts'

export interface ControlChannelsOptions {
  readonly backend: Backend
  readonly codec: ControlCodec
  readonly controlChannel: string
  readonly controlNamespace: string
}

type Type = ControlMessage['type']

/** A function for each type of control message that one part of the node handles. */
export type ControlHandlers = { readonly [T in Type]?: (message: ControlMessageOf<T>) => void }

/**
 * Sends and receives the control messages of this node. They are sent over the control channel, to all nodes, or over a
 * node's own channel, to that node. A received message is passed to the one part of the node that has registered for its
 * type.
 */
export class ControlChannels {
  /** The id of this node. */
  readonly node = randomUUID()
  /**
   * The channels that this node must be subscribed to. Nothing is published on the last one: the nodes are counted by it. Other
   * programs may be subscribed to the control channel, to monitor it.
   */
  readonly own: readonly [controlChannel: string, nodeChannel: string, members: string]
  readonly #options: ControlChannelsOptions
  readonly #handlers = new Map<Type, (message: never) => void>()

  constructor(options: ControlChannelsOptions) {
    this.#options = options
    const { controlChannel, controlNamespace } = options
    this.own = [controlChannel, this.#channelOf(this.node), `${controlNamespace}members:${controlChannel}`]
  }

  /** Registers the handlers of one part of the node. A type has one handler. */
  register(handlers: ControlHandlers): void {
    for (const [type, handler] of Object.entries(handlers)) this.#handlers.set(type as Type, handler)
  }

  /** Whether clients cannot subscribe to this name. */
  isReserved(channel: string): boolean {
    return isReservedName(channel, this.#options)
  }

  /** Handles a message of the broker. Returns false if `channel` is not one of {@link own}. */
  receive(channel: string, body: string): boolean {
    if (channel !== this.own[0] && channel !== this.own[1]) return false
    const message = this.#options.codec.decode(channel, body)
    if (message !== null) this.dispatch(message)
    return true
  }

  /** Handles a message as if it had been received now. */
  dispatch(message: ControlMessage): void {
    // The handlers of each type accept its messages, see `register`. TypeScript cannot express this for a Map.
    const handler = this.#handlers.get(message.type) as ((message: ControlMessage) => void) | undefined
    handler?.(message)
  }

  /** Resolves with the number of receivers. These include other programs. */
  publishToAll(message: ControlMessage): Promise<number> {
    return this.#publish(this.#options.controlChannel, message)
  }

  /** Resolves with 0 if the node is gone. */
  publishToNode(node: string, message: ControlMessage): Promise<number> {
    return this.#publish(this.#channelOf(node), message)
  }

  /** The number of nodes, including this one. */
  async countNodes(): Promise<number> {
    const [nodes] = await this.#options.backend.countHolders([this.own[2]])
    return nodes!
  }

  #publish(channel: string, message: ControlMessage): Promise<number> {
    const { backend, codec } = this.#options
    return backend.publish(channel, codec.encode(channel, message))
  }

  #channelOf(node: string): string {
    return `${this.#options.controlNamespace}node:${node}`
  }
}
