import type { Redis } from 'ioredis'
import type { RedisConnection } from './redisConnection.ts'
import { failure, isDenied, isMoved } from './redisReplies.ts'
import { slotOf } from './slots.ts'
import { subscribeEach } from './subscribeEach.ts'

/** The parts of an ioredis client that its types do not have. They are the same in versions 5 and 6. */
interface Internals {
  readonly condition: { subscriber: SubscriptionSet | false }
  readonly commandQueue: {
    peekFront(): { readonly command: QueuedCommand } | undefined
    unshift(item: { readonly command: QueuedCommand }): void
  }
}
interface SubscriptionSet {
  del(type: string, channel: string): void
}
interface QueuedCommand {
  readonly name: string
  readonly args: readonly unknown[]
  resolve(): void
}

/** The channels that a server did not subscribe. */
export interface NotSubscribed {
  /** The user may not subscribe to them. */
  readonly denied: readonly string[]
  /** Their slots belong to other servers. */
  readonly moved: readonly string[]
}

/** The sharded subscriptions of one connection. */
export class ShardSubscriptions {
  readonly #connection: RedisConnection
  readonly #moved: (channels: readonly string[]) => void
  #justMoved: string[] = []

  /** @param moved The server has ended these subscriptions, because their slots belong to another server now. */
  constructor(connection: RedisConnection, moved: (channels: readonly string[]) => void) {
    this.#connection = connection
    this.#moved = moved
  }

  /**
   * The connection is new. From now on, subscriptions that the server ends are noticed. ioredis 6 reports this without the
   * channel. ioredis 5 takes the message for the reply to another command. So the message is intercepted where ioredis
   * removes the channel from its set.
   */
  attach(): void {
    const { condition, commandQueue } = this.#client as unknown as Internals
    const noticed = (channel: string): void => {
      // If it is the reply to our own SUNSUBSCRIBE, that command is the first in the queue.
      const first = commandQueue.peekFront()?.command
      if (first?.name === 'sunsubscribe' && first.args.map(String).includes(channel)) return
      // ioredis takes the message for the reply to this command.
      commandQueue.unshift({ command: { name: 'sunsubscribe', args: [channel], resolve: () => {} } })
      if (this.#justMoved.push(channel) === 1) queueMicrotask(() => this.#report())
    }
    let subscriber: SubscriptionSet | false = false
    Object.defineProperty(condition, 'subscriber', {
      get: () => subscriber,
      set: (set: SubscriptionSet | false) => {
        subscriber = set
        if (set === false) return
        const del = set.del.bind(set)
        set.del = (type, channel) => {
          del(type, channel)
          if (type === 'sunsubscribe') noticed(channel)
        }
      },
    })
  }

  /** Resolves when all others are confirmed. */
  async subscribe(channels: readonly string[]): Promise<NotSubscribed> {
    const denied: string[] = []
    const moved: string[] = []
    const bySlot = groupBySlot(channels)
    const answers = await Promise.allSettled(bySlot.map((group) => this.#client.ssubscribe(...group)))
    for (const [i, answer] of answers.entries()) {
      if (answer.status === 'fulfilled') continue
      if (isMoved(answer.reason)) moved.push(...bySlot[i]!)
      else if (isDenied(answer.reason))
        denied.push(...(await subscribeEach(bySlot[i]!, (channel) => this.#client.ssubscribe(channel))))
      else throw failure(answer.reason)
    }
    return { denied, moved }
  }

  async unsubscribe(channels: readonly string[]): Promise<void> {
    const commands = groupBySlot(channels).map((group) => this.#client.sunsubscribe(...group))
    for (const answer of await Promise.allSettled(commands)) {
      // If the slot belongs to another server, this one has ended the subscriptions itself.
      if (answer.status === 'rejected' && !isMoved(answer.reason)) throw failure(answer.reason)
    }
  }

  get #client(): Redis {
    // The clients of a broker are not of the whole Cluster.
    return this.#connection.client as Redis
  }

  #report(): void {
    const channels = this.#justMoved
    this.#justMoved = []
    this.#moved(channels)
  }
}

/** The channels of one command must have the same slot. */
function groupBySlot(channels: readonly string[]): string[][] {
  const groups = new Map<number, string[]>()
  for (const channel of channels) {
    const slot = slotOf(channel)
    const group = groups.get(slot)
    if (group === undefined) groups.set(slot, [channel])
    else group.push(channel)
  }
  return [...groups.values()]
}
