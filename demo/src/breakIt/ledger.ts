import type { BroadcasterClient, Gap, StatusChange } from '@broadcaster/client'
import { Frames } from '../page/Frames.ts'
import { gapReason, transportWord } from '../page/words.ts'
import { Timeline, type TimelineEvent } from './timeline.ts'

/** What a message tells about itself. */
export type Numbered = {
  readonly n: number
  readonly run: number
  readonly unsure: number
  readonly at: number
}

export type Counters = {
  readonly received: number
  readonly perSecond: number
  /** Messages that did not arrive, although no gap was told. */
  readonly lost: number
  readonly doubled: number
  readonly gaps: number
  /** Messages that did not arrive, and for which a gap was told. */
  readonly missed: number
  /** The last interruption: from the time when nothing prevented it any more until everything had arrived. */
  readonly recovery: { readonly ms: number; readonly cause: string } | null
  readonly isRecovering: boolean
  readonly events: readonly TimelineEvent[]
}

type Interruption = {
  cause: string
  /** `null` while the cause lasts. */
  recoverableSince: number | null
  /** A token that has ended is no fault. */
  isFault: boolean
}

const SAMPLE_MS = 250
/** The rate is the mean of this time. */
const SAMPLES = 8

/** Counts the numbers in the messages, and keeps the timeline. */
export class Ledger extends Frames<Counters> {
  readonly #last = new Map<string, number>()
  /** Channels with a gap, after which no message has come yet. */
  readonly #gapped = new Set<string>()
  readonly #timeline = new Timeline()
  readonly #counts = { received: 0, lost: 0, doubled: 0, gaps: 0, missed: 0 }
  readonly #samples: { at: number; received: number }[] = []
  #client: BroadcasterClient | null = null
  #interruption: Interruption | null = null
  #recovery: Counters['recovery'] = null
  /** The clock here minus the clock of the publisher, and the shortest way between them. */
  #offset = Infinity

  /** Watches a client. Its channels start anew, so the first message of each is not compared with what came before. */
  follow(client: BroadcasterClient): () => void {
    this.#client = client
    this.#last.clear()
    this.#gapped.clear()
    const offs = [
      client.on('status', (change) => this.#onStatus(change)),
      client.on('gap', (gap) => this.#onGap(gap)),
      client.on('error', ({ code, message }) => {
        // The attempt has failed then, which is told below.
        if (code !== 'authFunction') this.#tell('bad', message)
      }),
      client.on('attemptFailed', ({ transport, error }) =>
        this.#tell('bad', `${transportWord[transport]} failed: ${error.message}`),
      ),
    ]
    const timer = setInterval(() => this.#sample(), SAMPLE_MS)
    return () => {
      clearInterval(timer)
      for (const off of offs) off()
    }
  }

  count(channel: string, { n, run, unsure, at }: Numbered): void {
    const now = Date.now()
    const series = `${channel} ${run}`
    const last = this.#last.get(series)
    this.#counts.received++
    this.#offset = Math.min(this.#offset, now - at)
    if (last !== undefined && n <= last) {
      this.#counts.doubled++
    } else {
      const hole = Math.max(0, n - (last ?? n - 1) - 1 - unsure)
      this.#counts[this.#gapped.has(channel) ? 'missed' : 'lost'] += hole
      this.#last.set(series, n)
    }
    this.#gapped.delete(channel)
    if (this.#interruption !== null) this.#mayHaveRecovered(at + this.#offset, now)
    this.changed()
  }

  /** A fault begins. If it lasts, `ended` has to follow. */
  began(cause: string, lasts = false): void {
    this.#tell('fault', cause)
    this.#interruption = {
      cause,
      recoverableSince: lasts ? null : (this.#interruption?.recoverableSince ?? Date.now()),
      isFault: true,
    }
    this.changed()
  }

  /** What caused the fault has been mended. */
  ended(what: string): void {
    this.#tell('fault', what)
    if (this.#interruption !== null) this.#interruption.recoverableSince = Date.now()
    this.changed()
  }

  protected takeSnapshot(): Counters {
    const first = this.#samples[0]
    const newest = this.#samples.at(-1)
    const seconds = first && newest ? (newest.at - first.at) / 1000 : 0
    return {
      ...this.#counts,
      perSecond: seconds > 0 ? Math.round((newest!.received - first!.received) / seconds) : 0,
      recovery: this.#recovery,
      isRecovering: this.#interruption?.isFault ?? false,
      events: this.#timeline.newestFirst(),
    }
  }

  #tell(kind: TimelineEvent['kind'], text: string): void {
    this.#timeline.add(kind, text)
    this.changed()
  }

  #sample(): void {
    this.#samples.push({ at: Date.now(), received: this.#counts.received })
    if (this.#samples.length > SAMPLES) this.#samples.shift()
    this.changed()
  }

  #onGap({ channel, reason }: Gap): void {
    this.#counts.gaps++
    this.#gapped.add(channel)
    this.#timeline.addGap(channel, gapReason[reason])
    this.changed()
  }

  #onStatus({ from, to, transport, reason, error }: StatusChange): void {
    const isRenewal = error?.code === 'reauthorize'
    if (to === 'connected' && from !== 'connected') {
      this.#tell('good', `Connected over ${transportWord[transport!]}`)
    } else if (from === 'connected' && to === 'reconnecting') {
      this.#tell(isRenewal ? 'info' : 'bad', isRenewal ? 'Token ended' : reason)
      this.#interruption ??= {
        cause: isRenewal ? 'Token renewed' : 'Connection lost',
        recoverableSince: Date.now(),
        isFault: !isRenewal,
      }
    } else if (to === 'disconnected' && from !== 'disconnected') {
      this.#tell(error ? 'bad' : 'info', error ? `Refused: ${error.message}` : 'Disconnected')
      this.#interruption = null
    }
  }

  /** Everything has arrived when every channel is subscribed again, and a message has come that was published after the fault. */
  #mayHaveRecovered(publishedAt: number, now: number): void {
    const { cause, recoverableSince, isFault } = this.#interruption!
    if (recoverableSince === null || publishedAt < recoverableSince) return
    if (this.#client?.status !== 'connected') return
    for (const { listeners } of this.#client.inspection.channels.values())
      if (listeners.status === 'subscribing') return
    this.#interruption = null
    const ms = now - recoverableSince
    if (isFault) this.#recovery = { ms, cause }
    this.#tell('good', isFault ? `Everything has arrived, after ${ms} ms` : `${cause}, in ${ms} ms`)
  }
}
