import type { Broker } from '../backends/backend.ts'
import type { Counts } from '../metrics/counts.ts'
import { controlNames, type ControlNames } from '../control/controlNames.ts'
import type { ControlMessage } from '../control/control.ts'
import { JoinedMessages } from './joinedMessages.ts'
import { Handlers, type ControlHandlers, type NodeControl } from './nodeControl.ts'

/**
 * Sends and receives control messages in one order. They are sent over the control channel, to all nodes, or over a
 * node's own channel, to that node. A received message is passed to the part of the order that has registered for its
 * type. Messages of all other types are passed to the node.
 */
export class ControlChannels {
  /** The id of this node. */
  readonly node: string
  /**
   * The channels that this node must be subscribed to. Nothing is published on the last one: the nodes are counted by it. Other
   * programs may be subscribed to the control channel, to monitor it.
   */
  readonly own: readonly [controlChannel: string, nodeChannel: string, members: string]
  readonly #broker: Broker
  readonly #nodeControl: NodeControl
  readonly #counts: Counts
  readonly #names: ControlNames
  readonly #handlers = new Handlers()
  readonly #joined = new JoinedMessages((node, message) =>
    this.#publish(this.#names.nodeChannel(node), message),
  )

  constructor(broker: Broker, nodeControl: NodeControl, counts: Counts) {
    this.#broker = broker
    this.#nodeControl = nodeControl
    this.#counts = counts
    this.node = nodeControl.node
    const { controlChannel, controlNamespace } = nodeControl.options
    this.#names = controlNames(controlNamespace, controlChannel, broker.tag)
    const { control, members } = this.#names
    this.own = [control, this.#names.nodeChannel(this.node), members]
  }

  /** Registers the handlers of one part of the order. A type has one handler. */
  register(handlers: ControlHandlers): void {
    this.#handlers.register(handlers)
  }

  /** Handles a message of the broker. Returns false if `channel` is not one of {@link own}. */
  receive(channel: string, body: string): boolean {
    if (channel !== this.own[0] && channel !== this.own[1]) return false
    this.#counts.controlMessages.received += 1
    this.#counts.controlBytes.received += Buffer.byteLength(body)
    const isToAll = channel === this.own[0]
    const message = this.#broker.codec.decode(channel, body)
    if (message?.type === 'beacon') this.#counts.beacons.received += 1
    for (const each of message?.type === 'several' ? message.messages : [message])
      if (each !== null && !this.#handlers.dispatch(each, isToAll)) this.#nodeControl.dispatch(each, isToAll)
    return true
  }

  /** Resolves with the number of receivers. These include other programs. */
  publishToAll(message: ControlMessage): Promise<number> {
    return this.#publish(this.own[0], message)
  }

  /** Resolves with 0 if the node is gone. */
  publishToNode(node: string, message: ControlMessage): Promise<number> {
    return this.#joined.send(node, message)
  }

  /**
   * As {@link publishToNode}, for a message that is not urgent. It waits up to 100 ms for another message to the
   * same node. When a node dies, all its clients come back at once, and each of them causes several messages to the node
   * that it was on.
   */
  publishToNodeSoon(node: string, message: ControlMessage): Promise<number> {
    return this.#joined.sendSoon(node, message)
  }

  /** Sends the messages that wait. */
  flush(): void {
    this.#joined.flush()
  }

  /** The number of nodes, including this one. */
  async countNodes(): Promise<number> {
    const [nodes] = await this.#broker.countHolders([this.own[2]])
    return nodes!
  }

  /** Whether each node is subscribed to its own channel. A node that was killed is not. */
  async areSubscribed(nodes: readonly string[]): Promise<readonly boolean[]> {
    if (nodes.length === 0) return []
    const counts = await this.#broker.countHolders(nodes.map((node) => this.#names.nodeChannel(node)))
    return counts.map((count) => count > 0)
  }

  #publish(channel: string, message: ControlMessage): Promise<number> {
    const body = this.#broker.codec.encode(channel, message)
    this.#counts.controlMessages.sent += 1
    this.#counts.controlBytes.sent += Buffer.byteLength(body)
    return this.#broker.publish(channel, body)
  }
}
