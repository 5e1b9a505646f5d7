import type { GapReason, ServerMessage, Subscribe, SubscribeOk } from '@broadcaster/protocol'
import { randomName } from './dialer.ts'
import type { BroadcasterError } from './errors.ts'
import type { Subscriptions } from './subscriptions.ts'
import { readMark, writeMark } from './tabMessages.ts'
import type { Mark } from './tabMessages.ts'
import type { Gap, Message, Subscription, SubscriptionStatus } from './types.ts'

/** What a tab has asked for in its `subscribe`. */
interface Wish {
  readonly mark: Mark | undefined
  /** The number of older messages. */
  readonly history: number
}

/** What a feed uses of the leader. */
export interface FeedHost {
  readonly subscriptions: Subscriptions
  /** @param tab all tabs, if undefined. */
  post(message: ServerMessage, tab?: string): void
  /** Marks of tabs that will subscribe to the channel, but have not done so yet. */
  marksOf(channel: string): Mark[]
}

/**
 * One channel of the leader: its subscription at the server, and the tabs that have it.
 *
 * A tab that comes from another leader continues at its mark. Usually all tabs have the same mark, because the last leader sent
 * each message to all. If one is behind (it was frozen, or in the back-forward cache), the server has to replay from there. So the
 * leader subscribes again, from the oldest mark. Then it sends some messages to all tabs a second time, with the same numbers, and
 * tabs ignore what they have. If the server can't replay from the oldest mark, the next one is tried: a tab that was away for too
 * long is told of a gap, and the others lose nothing.
 *
 * A mark of another era can't be compared with the others. It gets a gap. This needs a tab that was away while no tab had the
 * channel, and that comes back after another tab has subscribed to it.
 */
export class Feed {
  readonly #channel: string
  readonly #host: FeedHost
  readonly #tabs = new Set<string>()
  /** The tabs that wait for an answer to `subscribe`, each with its mark. */
  readonly #waiting = new Map<string, Wish>()
  /** The tabs for which the server was asked for older messages, each with the function that ends the subscription for this. */
  readonly #asking = new Map<string, Wish & { stop(): void }>()
  #subscription: Subscription | undefined
  /** The marks from which to subscribe, the oldest first. The first one is being tried. Empty: none is tried. */
  #candidates: Mark[] = []
  /** The last message that was sent. Undefined until the server has confirmed the first subscription. */
  #head: Mark | undefined
  /** Tabs with a lower number of this era have a gap. */
  #oldest = -Infinity
  #gapReason: GapReason = 'expired'

  constructor(channel: string, host: FeedHost) {
    this.#channel = channel
    this.#host = host
  }

  get isEmpty(): boolean {
    return this.#tabs.size + this.#waiting.size + this.#asking.size === 0
  }

  add(tab: string, { position, history = 0 }: Subscribe): void {
    this.remove(tab)
    this.#waiting.set(tab, { mark: position === undefined ? undefined : readMark(position), history })
    if (!this.#subscription) this.#start()
    else if (this.#subscription.status === 'subscribed') this.#answer()
  }

  remove(tab: string): void {
    this.#tabs.delete(tab)
    this.#waiting.delete(tab)
    this.#asking.get(tab)?.stop()
    this.#asking.delete(tab)
  }

  end(): void {
    this.#subscription = undefined
    for (const [tab, wish] of this.#asking) this.#waiting.set(tab, wish)
    this.#asking.clear()
    // If there is no answer, the request is repeated.
    this.#host.subscriptions
      .channel(this.#channel)
      .unsubscribe()
      .catch(() => {})
  }

  #start(): void {
    const waiting = [...this.#waiting.values()].map(({ mark }) => mark)
    const known = [...waiting, ...this.#host.marksOf(this.#channel)]
    const marks = known.filter((mark) => mark !== undefined)
    this.#subscribeFrom(marks.filter(({ era }) => era === marks[0]!.era))
  }

  #subscribeFrom(marks: readonly Mark[]): void {
    const byNumber = new Map(marks.map((mark) => [mark.number, mark]))
    this.#candidates = [...byNumber.values()].sort((one, other) => one.number - other.number)
    this.#tryNext()
  }

  #tryNext(): void {
    if (this.#subscription) this.end()
    const channel = this.#host.subscriptions.channel(this.#channel)
    const [mark] = this.#candidates
    if (mark) {
      // It continues there, as if it had been subscribed before. If the position is not known, it is a gap.
      channel.position = mark.position || undefined
      channel.hasBeenOn = true
    }
    this.#subscription = channel.subscribe(this.#onMessage, {
      onStatus: this.#onStatus,
      onGap: this.#onGap,
    })
  }

  readonly #onStatus = (status: SubscriptionStatus, error: BroadcasterError | null): void => {
    const channel = this.#channel
    if (status === 'subscribed') {
      if (!this.#head && this.#candidates.length === 0) {
        this.#newEra(this.#host.subscriptions.channels.get(channel)?.position)
      }
      // A gap or messages of the replay may follow in this task. They settle it first.
      queueMicrotask(() => {
        if (this.#subscription?.status === 'subscribed') this.#answer()
      })
    } else if (status === 'refused') {
      const reason = error!.message.slice(`Channel '${channel}': `.length)
      // The tabs ask again on the next connection.
      this.end()
      for (const tab of this.#waiting.keys())
        this.#host.post({ __type: 'subscribeError', channel, reason }, tab)
      for (const tab of this.#tabs) this.#host.post({ __type: 'unsubscribed', channel, reason }, tab)
      this.#waiting.clear()
      this.#tabs.clear()
      this.#candidates = []
      this.#head = undefined
    } else if (error) {
      for (const tab of this.#waiting.keys())
        this.#host.post({ __type: 'serverError', channel, reason: error.message }, tab)
    }
  }

  readonly #onGap = ({ reason, position }: Gap): void => {
    this.#gapReason = reason
    const failed = this.#candidates.shift()
    if (failed && this.#candidates.length > 0) {
      this.#oldest = failed.number + 1
      return this.#tryNext()
    }
    const head = this.#newEra(position)
    const gap = { __type: 'gap', channel: this.#channel, reason, position: writeMark(head) } as const
    for (const tab of this.#tabs) this.#host.post(gap, tab)
    this.#answer()
  }

  readonly #onMessage = (body: string, { position = '' }: Message): void => {
    // The tabs that wait continue before this message.
    const head = this.#answer()
    // The feed is about to start again, from before this message.
    if (!head) return
    this.#head = { ...head, number: head.number + 1, position }
    this.#host.post({ __type: 'message', channel: this.#channel, body, position: writeMark(this.#head) })
  }

  /** Answers the tabs that wait. @returns the head, or undefined if some are behind it, so that the feed starts again. */
  #answer(): Mark | undefined {
    const [tried] = this.#candidates
    if (tried) this.#head = tried
    this.#candidates = []
    const head = this.#head!
    const behind: Mark[] = []
    const waiting = new Map(this.#waiting)
    this.#waiting.clear()
    for (const [tab, wish] of waiting) {
      const missed = this.#missedBy(wish)
      if (wish.history > 0) {
        const options = { replay: wish.history + (missed ?? 0) }
        const stop = this.#host.subscriptions.channel(this.#channel).subscribe(() => {}, options)
        this.#asking.set(tab, { ...wish, stop })
      } else if (missed! > 0) {
        behind.push(wish.mark!)
        this.#waiting.set(tab, wish)
      } else this.#confirm(tab, wish)
    }
    if (behind.length === 0) return head
    this.#subscribeFrom([...behind, head])
    return undefined
  }

  /** The server has answered, and the subscription does not know it yet. So older messages end at the head. */
  receive({ recovered, history = [] }: SubscribeOk): void {
    const { era, number } = this.#head ?? { era: '', number: 0 }
    const first = number - history.length + 1
    const messages = history.map(
      ([body, position], index) => [body, writeMark({ era, number: first + index, position })] as const,
    )
    for (const [tab, wish] of this.#asking) {
      this.remove(tab)
      const missed = this.#missedBy(wish) ?? 0
      if (recovered === false || missed > messages.length) {
        // There is a gap, or the tab needs a replay first. Both come before older messages.
        this.#waiting.set(tab, { ...wish, history: 0 })
        queueMicrotask(() => {
          if (this.#subscription?.status === 'subscribed') this.#answer()
        })
        continue
      }
      // What the tab has missed is the end of the older messages.
      const end = messages.length - missed
      const older = messages.slice(Math.max(0, end - wish.history), end)
      this.#confirm(tab, wish, { history: older, ...(missed > 0 && { messages: messages.slice(end) }) })
    }
  }

  /** How many messages after its mark were sent to others. `undefined` if they are not known: the tab has a gap, or no mark. */
  #missedBy({ mark }: Wish): number | undefined {
    const { era, number } = this.#head!
    if (mark?.era !== era || mark.number < this.#oldest) return undefined
    const missed = Math.max(0, number - mark.number)
    return missed > 0 && mark.position === '' ? undefined : missed
  }

  #confirm(tab: string, wish: Wish, older: Pick<SubscribeOk, 'history' | 'messages'> = {}): void {
    const { mark } = wish
    const missed = this.#missedBy(wish)
    const recovered = missed !== undefined
    this.#tabs.add(tab)
    const answer = {
      __type: 'subscribeOk',
      channel: this.#channel,
      // A tab may be ahead, while the server replays what another one needs.
      position: writeMark(missed === 0 ? mark! : this.#head!),
      ...(mark && { recovered }),
      ...(mark && !recovered && { reason: this.#gapReason }),
      ...older,
    } as const
    this.#host.post(answer, tab)
  }

  #newEra(position = ''): Mark {
    this.#oldest = -Infinity
    return (this.#head = { era: randomName(), number: 0, position })
  }
}
