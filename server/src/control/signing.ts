import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { EventLogger } from '../logger.ts'
import type { ControlCodec } from './codec.ts'
import { encodeControl, parseControl, type ControlMessage } from './control.ts'

/**
 * The maximum difference between the time of a message and the broker's clock, in both directions. Other messages are
 * refused.
 */
const MAX_AGE_MS = 60_000
/** The size of the window in which messages of one node may arrive out of order. */
const REORDERING = 128
/**
 * The maximum number of nodes whose counters are stored. The node whose last message is the oldest is removed first.
 */
const MAX_SENDERS = 10_000

/** The signature `time.sender.counter.mac`, the last field of a message. Nodes without a secret ignore this field. */
const SIGNATURE = /,"sig":"([0-9a-z]{1,11})\.([\w-]{11})\.([0-9a-z]{1,11})\.([\w-]{22})"\}$/
const LONGEST_SIGNATURE = 100

interface Stamp {
  readonly sentAt: number
  readonly sender: string
  readonly counter: number
}

/**
 * Signs control messages with HMAC-SHA256, cut to 128 bits. The MAC covers the channel, the message and a stamp. The
 * stamp has the time of the broker's clock, a random name of the node and a counter. An attacker who recorded a message
 * therefore cannot change it, replay it on another channel, replay it to the same node, or send it later than a minute.
 */
export class SignedCodec implements ControlCodec {
  readonly isSigned = true
  readonly #secrets: readonly string[]
  readonly #logger: EventLogger
  readonly #sender = randomBytes(8).toString('base64url')
  readonly #senders = new Map<string, Counters>()
  #counter = 0
  #brokerAheadMs = 0
  readonly #refusals: { count: number }

  /**
   * @param secrets The first one signs. A message is valid if any of them verifies it.
   * @param refusals Counts the refused messages.
   */
  constructor(secrets: readonly string[], logger: EventLogger, refusals = { count: 0 }) {
    this.#secrets = secrets
    this.#logger = logger
    this.#refusals = refusals
  }

  get refused(): number {
    return this.#refusals.count
  }

  fork(): ControlCodec {
    return new SignedCodec(this.#secrets, this.#logger, this.#refusals)
  }

  brokerTime(nowMs: number): void {
    this.#brokerAheadMs = nowMs - Date.now()
  }

  encode(channel: string, message: ControlMessage): string {
    const text = encodeControl(message)
    const stamp = [this.#now.toString(36), this.#sender, (++this.#counter).toString(36)].join('.')
    return `${text.slice(0, -1)},"sig":"${stamp}.${mac(this.#secrets[0]!, channel, stamp, text)}"}`
  }

  decode(channel: string, text: string): ControlMessage | null {
    const opened = this.#open(channel, text)
    if (opened === null) return null
    const { message, stamp } = opened
    // The age of a beacon is not checked, because the broker's clock may jump. The counter alone is enough, because the
    // broker never makes two beacons with the same number.
    const isOld = message.type !== 'beacon' && Math.abs(this.#now - stamp.sentAt) > MAX_AGE_MS
    if (isOld || !this.#isNew(stamp)) return this.#refuse(isOld ? 'too old' : 'a replay')
    return message
  }

  decodeKept(channel: string, text: string): ControlMessage | null {
    return this.#open(channel, text)?.message ?? null
  }

  get #now(): number {
    return Math.max(0, Date.now() + this.#brokerAheadMs)
  }

  #open(channel: string, text: string): { message: ControlMessage; stamp: Stamp } | null {
    const [signature, sentAt, sender, counter, given] = SIGNATURE.exec(text.slice(-LONGEST_SIGNATURE)) ?? []
    const body = signature === undefined ? text : `${text.slice(0, -signature.length)}}`
    const message = parseControl(body)
    // Invalid text is not counted as refused, with a signature or without.
    if (message === null) return null
    if (signature === undefined) return this.#refuse('not signed')
    const stamp = [sentAt, sender, counter].join('.')
    const isOurs = this.#secrets.some((secret) => isEqual(given!, mac(secret, channel, stamp, body)))
    if (!isOurs) return this.#refuse('signed with another secret')
    return {
      message,
      stamp: {
        sentAt: Number.parseInt(sentAt!, 36),
        sender: sender!,
        counter: Number.parseInt(counter!, 36),
      },
    }
  }

  #isNew({ sender, counter }: Stamp): boolean {
    const counters = this.#senders.get(sender) ?? new Counters()
    // A Map keeps the order of insertion, so the sender with the most recent message is at the end.
    this.#senders.delete(sender)
    this.#senders.set(sender, counters)
    if (this.#senders.size > MAX_SENDERS) this.#senders.delete(this.#senders.keys().next().value!)
    return counters.add(counter)
  }

  /** Logs only the first refused message, so that an attacker who can publish cannot fill the log. */
  #refuse(why: string): null {
    if (this.#refusals.count === 0) {
      const text = `A control message was ignored because it is ${why}; further ones are only counted`
      this.#logger.warn({ event: 'controlMessageRefused', why }, text)
    }
    this.#refusals.count += 1
    return null
  }
}

/**
 * The counters of one node's received messages. This is an anti-replay window as in IPsec (RFC 4303, section 3.4.3).
 */
class Counters {
  #highest = 0
  readonly #recent = new Set<number>()

  /** Adds a counter. Returns whether the message is new. */
  add(counter: number): boolean {
    if (counter <= this.#highest - REORDERING || this.#recent.has(counter)) return false
    this.#recent.add(counter)
    this.#highest = Math.max(this.#highest, counter)
    if (this.#recent.size > 2 * REORDERING) {
      for (const one of this.#recent) if (one <= this.#highest - REORDERING) this.#recent.delete(one)
    }
    return true
  }
}

function mac(secret: string, channel: string, stamp: string, text: string): string {
  // The length prefix marks the end of the channel name, whatever characters the name has.
  const hmac = createHmac('sha256', secret).update(`${channel.length}:${channel}${stamp}.`).update(text)
  return hmac.digest().subarray(0, 16).toString('base64url')
}

function isEqual(a: string, b: string): boolean {
  return a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b))
}
