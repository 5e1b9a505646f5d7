import { ChannelRecord } from '../chaos/record.ts'
import type { HealthyClient } from '../support/healthyClient.ts'
import { HEALTHY_HEADER } from './application.ts'

/** The time limit of a healthy client. It is long, because attacks may slow a small machine down. */
const PATIENCE_MS = 60_000
const headers = { [HEALTHY_HEADER]: '1' }

/** A long-poll client of the base. It has no gaps, so every message has to arrive. */
export async function healthyBasePeer(url: string, channel: string): Promise<HealthyClient> {
  const record = new ChannelRecord(`base long-poll of ${new URL(url).pathname}`, channel)
  const complaints: string[] = []
  const ended = new AbortController()
  const signal = ended.signal
  const post = async (message: object) => {
    const response = await fetch(url, { method: 'POST', body: JSON.stringify(message), headers, signal })
    const text = await response.text()
    if (response.status !== 200) throw new Error(`${response.status} ${text}`)
    return JSON.parse(text) as { __type: string; __token?: string; channel?: string; body?: string }[]
  }
  const [{ __token } = {}] = await post({ __type: 'auth' })
  const [answer] = await post({ __type: 'subscribe', channel, __token })
  if (answer?.__type !== 'subscribeOk') throw new Error(`${record.client}: ${JSON.stringify(answer)}`)
  const polling = (async () => {
    for (let seq = 1; !signal.aborted; seq++) {
      for (const { __type, body } of await post({ __type: 'poll', seq: String(seq), __token })) {
        if (__type === 'message') record.hear(Number(body), Date.now())
      }
    }
  })().catch((error: unknown) => {
    if (!signal.aborted) complaints.push(`${record.client}: a poll failed: ${String(error)}`)
  })
  return {
    record,
    reconnections: 0,
    complaints,
    stop: () => {
      ended.abort()
      return polling
    },
  }
}

/** Requests an ordinary page repeatedly. */
export class Visitor {
  readonly complaints: string[] = []
  answered = 0
  longestMs = 0
  #isOver = false
  /** The start times of the requests in flight. */
  readonly #waitingSince = new Set<number>()
  readonly #done: Promise<unknown>

  constructor(origins: readonly string[]) {
    this.#done = Promise.all(origins.map((origin) => this.#visit(`${origin}/hello`)))
  }

  /** How long the oldest request in flight has waited. */
  get waitingMs(): number {
    const [oldest = Infinity] = this.#waitingSince
    return Math.max(0, performance.now() - oldest)
  }

  async stop(): Promise<void> {
    this.#isOver = true
    await this.#done
  }

  async #visit(url: string): Promise<void> {
    while (!this.#isOver) {
      const from = performance.now()
      this.#waitingSince.add(from)
      try {
        const response = await fetch(url, { headers, signal: AbortSignal.timeout(PATIENCE_MS) })
        const text = await response.text()
        if (text !== 'hello') this.complaints.push(`${url}: ${response.status} ${text}`)
        this.answered += 1
      } catch (error) {
        this.complaints.push(`${url}: ${String(error)} ${String((error as Error).cause ?? '')}`)
        // The application has ended.
        return
      } finally {
        this.#waitingSince.delete(from)
      }
      this.longestMs = Math.max(this.longestMs, performance.now() - from)
      await new Promise((resolve) => setTimeout(resolve, 250))
    }
  }
}
