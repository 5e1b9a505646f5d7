import type { Message } from '@broadcaster/client'

export const MAX_MESSAGES = 50
export const MAX_BODY_CHARS = 20_000
export const MAX_CHANNELS = 1_000
/** Of all bodies together. */
export const MAX_CHARS = 4_000_000

export interface LoggedMessage {
  readonly at: number
  readonly body: string
  /** How many characters of the body were left out. */
  readonly cutChars: number
  readonly position: string | undefined
  readonly isReplayed: boolean
}

/** What was seen of one channel. */
export interface ChannelLog {
  /** The newest messages, oldest first. */
  messages: LoggedMessage[]
  /** Since the devtools were mounted. */
  received: number
  replayed: number
  gaps: number
  position: string | undefined
  /** Messages per second. `undefined`: not known yet. */
  rate: number | undefined
}

/** The logs of all channels. Memory is bounded: what was not used for the longest time is removed first. */
export class ChannelLogs {
  /** In the order of the last use. */
  readonly #logs = new Map<string, ChannelLog>()
  readonly #counted = new Map<ChannelLog, number>()
  #countedAt: number | undefined
  #chars = 0

  get(name: string): ChannelLog | undefined {
    return this.#logs.get(name)
  }

  names(): Iterable<string> {
    return this.#logs.keys()
  }

  /** The log of the channel, which now is the last one used. */
  use(name: string): ChannelLog {
    const log = this.#logs.get(name) ?? {
      messages: [],
      received: 0,
      replayed: 0,
      gaps: 0,
      position: undefined,
      rate: undefined,
    }
    this.#logs.delete(name)
    this.#logs.set(name, log)
    if (this.#logs.size > MAX_CHANNELS) this.#drop(this.#oldest()!)
    return log
  }

  add(name: string, { body, position }: Message, isReplayed: boolean): void {
    const log = this.use(name)
    log.received++
    if (isReplayed) log.replayed++
    log.position = position
    const shown = cut(body)
    log.messages.push({
      at: Date.now(),
      body: shown,
      cutChars: Math.max(0, body.length - MAX_BODY_CHARS),
      position,
      isReplayed,
    })
    this.#chars += shown.length
    if (log.messages.length > MAX_MESSAGES) this.#chars -= log.messages.shift()!.body.length
    for (const [other, { messages }] of this.#logs) {
      if (this.#chars <= MAX_CHARS || other === name) break
      if (messages.length > 0) this.clear(other)
    }
  }

  /** Forgets the messages of the channel. */
  clear(name: string): void {
    const log = this.#logs.get(name)
    for (const { body } of log?.messages.splice(0) ?? []) this.#chars -= body.length
  }

  /** Computes the rates since the last call. */
  measure(): void {
    const now = performance.now()
    const seconds = (now - (this.#countedAt ?? now)) / 1000
    for (const log of this.#logs.values()) {
      const before = this.#counted.get(log)
      if (before !== undefined && seconds > 0) log.rate = (log.received - before) / seconds
      this.#counted.set(log, log.received)
    }
    this.#countedAt = now
  }

  /** The next rates begin anew. While the panel is closed, nothing is measured. */
  stopMeasuring(): void {
    this.#counted.clear()
    this.#countedAt = undefined
    for (const log of this.#logs.values()) log.rate = undefined
  }

  #oldest(): string | undefined {
    for (const name of this.#logs.keys()) return name
    return undefined
  }

  #drop(name: string): void {
    this.clear(name)
    this.#counted.delete(this.#logs.get(name)!)
    this.#logs.delete(name)
  }
}

function cut(body: string): string {
  if (body.length <= MAX_BODY_CHARS) return body
  // Engines keep the whole string alive for a part of it. So the part is copied.
  return new TextDecoder().decode(new TextEncoder().encode(body.slice(0, MAX_BODY_CHARS)))
}
