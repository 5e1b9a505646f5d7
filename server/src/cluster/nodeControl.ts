import { randomUUID } from 'node:crypto'
import type { ControlMessage, ControlMessageOf } from '../control/control.ts'
import { isReservedName } from '../control/reservedNames.ts'
import { BroadcasterError } from '../errors.ts'
import type { ControlChannels } from './controlChannels.ts'

export interface NodeControlOptions {
  readonly controlChannel: string
  readonly controlNamespace: string
}

type Type = ControlMessage['type']

/**
 * A function for each type of control message that one part of the node handles. `isToAll`: it was sent to all nodes, and not to this
 * one only.
 */
export type ControlHandlers = {
  readonly [T in Type]?: (message: ControlMessageOf<T>, isToAll: boolean) => void
}

/** The functions that handle control messages, by type. */
export class Handlers {
  readonly #byType = new Map<Type, (message: never, isToAll: boolean) => void>()

  /** Adds the handlers of one part. A type has one handler. */
  register(handlers: ControlHandlers): void {
    for (const [type, handler] of Object.entries(handlers)) this.#byType.set(type as Type, handler)
  }

  /** Returns whether there is a handler for the message. */
  dispatch(message: ControlMessage, isToAll: boolean): boolean {
    // The handlers of each type accept its messages, see `register`. TypeScript cannot express this for a Map.
    const handler = this.#byType.get(message.type) as
      | ((message: ControlMessage, isToAll: boolean) => void)
      | undefined
    handler?.(message, isToAll)
    return handler !== undefined
  }
}

/**
 * The control messages about clients and sessions, which have no order with the messages of channels. They are sent on
 * the control channels of one order (see `Orders`). They are received on those of every order.
 */
export class NodeControl {
  /** The id of this node. */
  readonly node = randomUUID()
  readonly options: NodeControlOptions
  readonly #handlers = new Handlers()
  #channels: () => ControlChannels | null = () => null

  constructor(options: NodeControlOptions) {
    this.options = options
  }

  /** Sets how the control channels for messages of this node are found. */
  sendOn(channels: () => ControlChannels | null): void {
    this.#channels = channels
  }

  register(handlers: ControlHandlers): void {
    this.#handlers.register(handlers)
  }

  /** Handles a message as if it had been received now. */
  dispatch(message: ControlMessage, isToAll = true): void {
    this.#handlers.dispatch(message, isToAll)
  }

  /** Whether clients cannot subscribe to this name. */
  isReserved(channel: string): boolean {
    return isReservedName(channel, this.options)
  }

  /** Resolves with the number of receivers. These include other programs. */
  async publishToAll(message: ControlMessage): Promise<number> {
    return this.#connected().publishToAll(message)
  }

  /** Resolves with 0 if the node is gone. */
  async publishToNode(node: string, message: ControlMessage): Promise<number> {
    return this.#connected().publishToNode(node, message)
  }

  /** As {@link publishToNode}, for a message that is not urgent: it is sent with another one, or up to 100 ms later. */
  async publishToNodeSoon(node: string, message: ControlMessage): Promise<number> {
    return this.#connected().publishToNodeSoon(node, message)
  }

  /** Sends the messages that wait. */
  flush(): void {
    this.#channels()?.flush()
  }

  #connected(): ControlChannels {
    const channels = this.#channels()
    if (channels !== null) return channels
    throw new BroadcasterError('brokerUnavailable', 'There is no connection to Redis: nothing was sent')
  }
}
