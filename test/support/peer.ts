import { channelName } from './names.ts'
import { Inbox, type Wire } from './inbox.ts'
import type { Subject, Transport } from './subject.ts'

/** A client of either transport that does nothing by itself. It sends only what the test tells it to send. */
export abstract class Peer {
  abstract readonly transport: Transport
  protected readonly subject: Subject
  protected readonly inbox = new Inbox()

  constructor(subject: Subject) {
    this.subject = subject
  }

  /** Messages that have arrived and were not taken yet. */
  get pending(): readonly Wire[] {
    return this.inbox.pending
  }

  /** Sends a message, or any text, unchanged. `next()` returns the answer. */
  abstract send(message: object | string): Promise<void>

  abstract close(): Promise<void>

  /** Sends `auth` and returns the answer. */
  async auth(data: object = {}): Promise<Wire> {
    await this.send({ __type: 'auth', ...data })
    return this.inbox.take('answer to auth', ({ __type }) => __type === 'authOk' || __type === 'authError')
  }

  /** Sends `subscribe` and returns the answer. */
  async subscribe(channel: string, fields: object = {}): Promise<Wire> {
    await this.send({ __type: 'subscribe', channel, ...fields })
    return this.answer('subscribe', channel)
  }

  /** Sends `unsubscribe` and returns the answer. */
  async unsubscribe(channel: string): Promise<Wire> {
    await this.send({ __type: 'unsubscribe', channel })
    return this.answer('unsubscribe', channel)
  }

  /** Takes the next message of any type. Waits until there is one. On long-poll, it polls for it. */
  abstract next(): Promise<Wire>

  /** The next `count` messages. */
  async take(count: number): Promise<Wire[]> {
    const messages: Wire[] = []
    while (messages.length < count) messages.push(await this.next())
    return messages
  }

  /** The bodies of the next `count` messages, which must all be of this channel. */
  async bodies(channel: string, count: number): Promise<string[]> {
    const messages = await this.take(count)
    const stranger = messages.find(
      (message) => message.__type !== 'message' || message['channel'] !== channel,
    )
    if (stranger) throw new Error(`Expected only messages of ${channel}, got ${JSON.stringify(stranger)}`)
    return messages.map(({ body }) => body as string)
  }

  /**
   * Checks that no message is in flight to this peer. It does not wait for a time: it publishes a marker, which must be
   * the first message to arrive.
   */
  async hearsNothing(): Promise<void> {
    const marker = channelName('marker')
    await this.subscribe(marker)
    await this.subject.publish(marker, 'silence')
    const heard = await this.next()
    if (heard['channel'] !== marker || heard['body'] !== 'silence') {
      throw new Error(`Expected no message, got ${JSON.stringify(heard)}`)
    }
    await this.unsubscribe(marker)
  }

  protected answer(request: 'subscribe' | 'unsubscribe', channel: string): Promise<Wire> {
    return this.inbox.take(`answer to ${request} of ${channel}`, (message) => {
      if (message['channel'] !== channel) return false
      return [`${request}Ok`, `${request}Error`, 'serverError'].includes(message.__type)
    })
  }
}
