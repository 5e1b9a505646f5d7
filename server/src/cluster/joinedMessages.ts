import type { ControlMessage } from '../control/control.ts'

/** How long a message may wait for another one to the same node, in ms. */
const JOIN_MS = 100
/** The maximum number of messages that are sent together. */
const MAX_JOINED = 100

interface Waiting {
  readonly messages: ControlMessage[]
  readonly sent: Promise<number>
  readonly send: () => void
  readonly timer: NodeJS.Timeout
}

/** Sends several control messages to the same node as one. */
export class JoinedMessages {
  readonly #send: (node: string, message: ControlMessage) => Promise<number>
  /** The messages that wait, by node. */
  readonly #waiting = new Map<string, Waiting>()

  constructor(send: (node: string, message: ControlMessage) => Promise<number>) {
    this.#send = send
  }

  /** Sends the message now, together with the messages to this node that wait. */
  send(node: string, message: ControlMessage): Promise<number> {
    return this.#waiting.has(node) ? this.#add(node, message, true) : this.#send(node, message)
  }

  /** Sends the message with the next one to this node, at the latest after {@link JOIN_MS}. */
  sendSoon(node: string, message: ControlMessage): Promise<number> {
    return this.#add(node, message, false)
  }

  /** Sends all messages that wait. */
  flush(): void {
    for (const node of this.#waiting.keys()) this.#flush(node)
  }

  #add(node: string, message: ControlMessage, isUrgent: boolean): Promise<number> {
    const waiting = this.#waiting.get(node) ?? this.#startWaiting(node)
    waiting.messages.push(message)
    if (isUrgent || waiting.messages.length >= MAX_JOINED) this.#flush(node)
    return waiting.sent
  }

  #startWaiting(node: string): Waiting {
    const messages: ControlMessage[] = []
    let send!: () => void
    const sent = new Promise<number>((resolve) => {
      send = () => resolve(this.#send(node, together(messages)))
    })
    const waiting = { messages, sent, send, timer: setTimeout(() => this.#flush(node), JOIN_MS) }
    this.#waiting.set(node, waiting)
    return waiting
  }

  #flush(node: string): void {
    const { send, timer } = this.#waiting.get(node)!
    this.#waiting.delete(node)
    clearTimeout(timer)
    send()
  }
}

function together(messages: readonly ControlMessage[]): ControlMessage {
  return messages.length === 1 ? messages[0]! : { type: 'several', messages }
}
