import type { Channel, Subscriber } from './channel.ts'
import type { FrameFormat } from './frames.ts'
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
  let format: FrameFormat | null = null
  let frames: Buffer
  for (const subscriber of channel.subscribers) {
    if (subscriber.isLagging) continue
    // Most have the same as the one before.
    if (subscriber.format !== format) {
      format = subscriber.format
      frames = channel.batch(format)
    }
    subscriber.write(frames!)
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
    const { format } = subscriber
    subscriber.write(Array.isArray(batch) ? merged.of(batch, format) : batch.batch(format))
  }
}

/** The frames of several channels in one piece, kept for the next subscriber if that has the same channels. */
class MergedFrames {
  #channels: readonly Channel[] = []
  #format: FrameFormat | null = null
  #frames: Buffer | null = null

  of(channels: readonly Channel[], format: FrameFormat): Buffer {
    const isSame =
      this.#format?.positions === format.positions &&
      this.#format.compressed === format.compressed &&
      this.#channels.length === channels.length &&
      this.#channels.every((channel, i) => channel === channels[i])
    if (this.#frames !== null && isSame) return this.#frames
    this.#channels = channels
    this.#format = format
    return (this.#frames = merge(channels, format))
  }
}

/** In the order in which the messages came. */
function merge(channels: readonly Channel[], format: FrameFormat): Buffer {
  const frames = channels.flatMap((channel) => {
    const shared = channel.frames(format)
    return channel.pending.map((entry, i) => ({ order: entry.order, frame: shared[i]! }))
  })
  // Stable: what was filled in from another node has no order of arrival, and stays in its own.
  frames.sort((a, b) => a.order - b.order)
  return Buffer.concat(frames.map(({ frame }) => frame))
}
