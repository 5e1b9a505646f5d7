import type { Channel, Subscriber } from './channel.ts'
import type { Entry } from './log.ts'

/**
 * Delivers messages: whatever arrives in one turn of the event loop goes to a socket in one write, over all its
 * channels, in order. A frame is made once and shared by all.
 */
export class FanOut {
  /** Channels with something pending. */
  #dirty: Channel[] = []
  #isScheduled = false

  add(channel: Channel, entry: Entry): void {
    if (channel.pending.push(entry) === 1) this.#dirty.push(channel)
    if (this.#isScheduled) return
    this.#isScheduled = true
    setImmediate(() => {
      this.#isScheduled = false
      this.flush()
    })
  }

  flush(): void {
    if (this.#dirty.length === 0) return
    const dirty = this.#dirty
    this.#dirty = []
    if (dirty.length === 1) deliverOne(dirty[0]!)
    else deliverMany(dirty)
    for (const channel of dirty) {
      channel.delivered()
      for (const waiter of channel.waiters) waiter.wake(channel)
    }
  }
}

function deliverOne(channel: Channel): void {
  for (const subscriber of channel.subscribers) {
    if (!subscriber.isLagging) subscriber.write(channel.batch(subscriber.hasPositions))
  }
}

function deliverMany(channels: readonly Channel[]): void {
  const subscribers: Subscriber[] = []
  for (const channel of channels) {
    for (const subscriber of channel.subscribers) {
      const { batch } = subscriber
      if (batch === null) {
        subscriber.batch = channel
        subscribers.push(subscriber)
      } else if (Array.isArray(batch)) {
        batch.push(channel)
      } else {
        subscriber.batch = [batch, channel]
      }
    }
  }
  const merged = new MergedFrames()
  for (const subscriber of subscribers) {
    const batch = subscriber.batch!
    subscriber.batch = null
    if (subscriber.isLagging) continue
    const { hasPositions } = subscriber
    subscriber.write(Array.isArray(batch) ? merged.of(batch, hasPositions) : batch.batch(hasPositions))
  }
}

/** The frames of several channels in one piece, kept for the next subscriber if that has the same channels. */
class MergedFrames {
  #channels: readonly Channel[] = []
  #withPositions = false
  #frames: Buffer | null = null

  of(channels: readonly Channel[], withPositions: boolean): Buffer {
    const isSame =
      this.#withPositions === withPositions &&
      this.#channels.length === channels.length &&
      this.#channels.every((channel, i) => channel === channels[i])
    if (this.#frames !== null && isSame) return this.#frames
    this.#channels = channels
    this.#withPositions = withPositions
    return (this.#frames = merge(channels, withPositions))
  }
}

/** In the order in which the messages came. */
function merge(channels: readonly Channel[], withPositions: boolean): Buffer {
  const frames = channels.flatMap((channel) => {
    const shared = channel.frames(withPositions)
    return channel.pending.map((entry, i) => ({ order: entry.order, frame: shared[i]! }))
  })
  // Stable: what was filled in from another node has no order of arrival, and stays in its own.
  frames.sort((a, b) => a.order - b.order)
  return Buffer.concat(frames.map(({ frame }) => frame))
}
