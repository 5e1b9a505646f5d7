import type { Channel, Subscriber } from './channel.ts'
import type { FrameFormat } from './frames.ts'
import type { Counts } from '../metrics/counts.ts'
import type { Latency } from '../metrics/latency.ts'
import type { Entry } from './log.ts'

/**
 * Delivers messages to subscribers. All messages of one turn of the event loop go to a socket in one write, over all
 * its channels, in order. A frame is made once and shared by all subscribers.
 */
export class FanOut {
  readonly #counts: Counts
  readonly #latency: Latency
  /** Channels with pending messages. */
  #dirty: Channel[] = []
  #isScheduled = false

  constructor(counts: Counts, latency: Latency) {
    this.#counts = counts
    this.#latency = latency
  }

  /** As {@link add}, for a message that has just arrived. */
  arrived(channel: Channel, entry: Entry): void {
    if (this.#latency.isObserved && channel.subscribers.size > 0) this.#latency.arrived()
    this.add(channel, entry)
  }

  add(channel: Channel, entry: Entry): void {
    if (channel.pending.push(entry) === 1) this.#dirty.push(channel)
    if (this.#isScheduled) return
    this.#isScheduled = true
    setImmediate(() => {
      this.#isScheduled = false
      this.flush()
    })
  }

  /** Handles a message that is not delivered, because its body is too large: clients receive a gap in its place. */
  skip(channel: Channel, beacon: number): void {
    // Earlier messages are delivered first.
    this.flush()
    const position = channel.skip(beacon)
    if (channel.state !== 'live') return
    for (const subscriber of channel.subscribers) {
      // A lagging subscriber detects the gap when it reads on from the log.
      if (!subscriber.isLagging) subscriber.gap(channel, position, 'overflow')
    }
    for (const reader of channel.logReaders) reader.wake(channel)
  }

  flush(): void {
    if (this.#dirty.length === 0) return
    const dirty = this.#dirty
    this.#dirty = []
    const deliveries = dirty.length === 1 ? deliverOne(dirty[0]!) : deliverMany(dirty)
    this.#counts.deliveries.websocket += deliveries
    this.#latency.written()
    for (const channel of dirty) {
      channel.delivered()
      for (const reader of channel.logReaders) reader.wake(channel)
    }
  }
}

/** Returns the number of deliveries. */
function deliverOne(channel: Channel): number {
  let format: FrameFormat | null = null
  let frames: Buffer | string
  let written = 0
  for (const subscriber of channel.subscribers) {
    if (subscriber.isLagging) continue
    // Most subscribers have the same format as the one before.
    if (subscriber.format !== format) {
      format = subscriber.format
      frames = channel.batch(format)
    }
    subscriber.write(frames!)
    written += 1
  }
  return written * channel.pending.length
}

/** Returns the number of deliveries. */
function deliverMany(channels: readonly Channel[]): number {
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
  let deliveries = 0
  for (const subscriber of subscribers) {
    const batch = subscriber.batch!
    subscriber.batch = null
    if (subscriber.isLagging) continue
    const { format } = subscriber
    subscriber.write(Array.isArray(batch) ? merged.of(batch, format) : batch.batch(format))
    if (!Array.isArray(batch)) deliveries += batch.pending.length
    else for (const { pending } of batch) deliveries += pending.length
  }
  return deliveries
}

/**
 * The frames of several channels in one buffer. It is reused if the next subscriber has the same channels and format.
 */
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

/** Merges the frames of the channels in the order of arrival. */
function merge(channels: readonly Channel[], format: FrameFormat): Buffer {
  const frames = channels.flatMap((channel) => {
    const shared = channel.frames(format)
    return channel.pending.map((entry, i) => ({ arrival: entry.arrival, frame: shared[i]! }))
  })
  // The sort is stable: entries from another node all have arrival 0, and keep their own order.
  frames.sort((a, b) => a.arrival - b.arrival)
  return Buffer.concat(frames.map(({ frame }) => frame))
}
