import { onTestFinished } from 'vitest'
import type { Wire } from './inbox.ts'
import { post, type Answer } from './longPollPeer.ts'
import { until } from './waiting.ts'

/** The number of failed attempts in a row after which the client gives up. */
const MAX_ATTEMPTS = 10

/**
 * A long-poll client with the observed behavior of the original JavaScript client. It polls with one `seq` after the other.
 * After an answer that is not 200, or a broken connection, it starts again: `auth` without a token, then `subscribe` for
 * each channel. Failed attempts are counted, with a pause that grows by one second. After a 401 it never reconnects.
 */
export class OriginalClient {
  readonly heard: string[] = []
  /** The status of every answer that was not 200. */
  readonly failures: number[] = []
  /** Why the client has stopped. */
  stopped: string | null = null
  readonly #url: string
  readonly #channels: readonly string[]
  readonly #gone = new AbortController()
  #token: string | undefined
  #attempts = 0

  constructor(url: string, channels: readonly string[]) {
    this.#url = url
    this.#channels = channels
    onTestFinished(() => this.#gone.abort())
  }

  /** Resolves when the client is subscribed. */
  async connect(): Promise<void> {
    if (!(await this.#signIn())) throw new Error(`Could not connect: ${this.failures.join(', ')}`)
    void this.#live()
  }

  /** Resolves when the client has received this body. */
  async hears(body: string): Promise<void> {
    await until(`the client of the original to hear ${body.slice(0, 40)}`, () => {
      if (this.stopped !== null) throw new Error(`The client has stopped: ${this.stopped}`)
      return this.heard.includes(body)
    })
  }

  /** A request of the current session, in addition to its poll. */
  async request(message: object): Promise<Answer | null> {
    const body = this.#token === undefined ? message : { ...message, __token: this.#token }
    const answer = await post(this.#url, body, { signal: this.#gone.signal }).catch(() => null)
    if (answer !== null && answer.status !== 200) this.failures.push(answer.status)
    if (answer?.status === 401) this.stopped ??= `401 to ${JSON.stringify(message)}`
    return answer?.status === 200 ? answer : null
  }

  async #live(): Promise<void> {
    let seq = 0
    while (this.stopped === null && !this.#gone.signal.aborted) {
      const answer = await this.request({ __type: 'poll', seq: String(seq++) })
      if (answer !== null) this.#receive(answer.messages)
      else while (this.stopped === null && !(await this.#comeBack())) seq = 0
    }
  }

  async #comeBack(): Promise<boolean> {
    if (this.#gone.signal.aborted) return true
    if (this.#attempts === MAX_ATTEMPTS) {
      this.stopped ??= `${MAX_ATTEMPTS} attempts failed`
      return false
    }
    await new Promise((resolve) => setTimeout(resolve, this.#attempts * 1000))
    this.#attempts += 1
    return this.#signIn()
  }

  async #signIn(): Promise<boolean> {
    this.#token = undefined
    const answer = await this.request({ __type: 'auth' })
    if (answer === null) return false
    this.#token = answer.messages[0]!['__token'] as string
    this.#attempts = 0
    for (const channel of this.#channels) {
      const subscribed = await this.request({ __type: 'subscribe', channel })
      if (subscribed === null) return false
    }
    return true
  }

  #receive(messages: readonly Wire[]): void {
    for (const { __type: type, body } of messages) if (type === 'message') this.heard.push(body as string)
  }
}
