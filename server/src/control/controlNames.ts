/** The names of the control channels of an order. */
export interface ControlNames {
  /** The channel of messages to all nodes. */
  readonly control: string
  /** Nothing is published on this channel: the nodes are counted by it. */
  readonly members: string
  /** The channel of messages to one node. */
  nodeChannel(node: string): string
}

/** @param tag See `Broker.tag`. With a tag, all names are in the slot of the tag, and begin with the namespace. */
export function controlNames(namespace: string, controlChannel: string, tag: string): ControlNames {
  const prefix = `${namespace}${tag}`
  return {
    control: tag === '' ? controlChannel : `${prefix}${controlChannel}`,
    members: `${prefix}members:${controlChannel}`,
    nodeChannel: (node) => `${prefix}node:${node}`,
  }
}
