import { setMaxListeners } from 'node:events'
import http from 'node:http'
import https from 'node:https'
import { onTestFinished } from 'vitest'
import type { Wire } from './inbox.ts'
import { Peer } from './peer.ts'
import type { Subject } from './subject.ts'
import { within } from './waiting.ts'

export type Answer = {
  readonly status: number
  readonly headers: Headers
  /** The messages, if the body is a JSON array. Otherwise the body itself. */
  readonly messages: Wire[]
  readonly text: string
}

export type PostOptions = {
  readonly headers?: Record<string, string>
  readonly signal?: AbortSignal
  readonly method?: string
}

const agents = {
  'http:': new http.Agent({ keepAlive: true }),
  'https:': new https.Agent({ keepAlive: true }),
}

/**
 * Sends one request. The body is written as JSON, unless it is a string. This does not use `fetch`, which keeps a
 * connection for a while after its request was aborted. Here the connection breaks at once, like that of a client that
 * exits.
 */
export async function post(url: string, body: object | string, options: PostOptions = {}): Promise<Answer> {
  const sent = typeof body === 'string' ? body : JSON.stringify(body)
  const { protocol } = new URL(url)
  const { request } = protocol === 'https:' ? https : http
  const agent = agents[protocol as keyof typeof agents]
  const answer = new Promise<Answer>((resolve, reject) => {
    // Set here, because Node does not set it for methods that usually have no body.
    const headers = { 'Content-Length': Buffer.byteLength(sent), ...options.headers }
    const outgoing = request(url, { method: 'POST', agent, ...options, headers }, (incoming) => {
      let text = ''
      incoming.setEncoding('utf8')
      incoming.on('data', (chunk: string) => (text += chunk))
      incoming.on('error', reject)
      incoming.on('end', () => resolve(asAnswer(incoming.statusCode!, incoming.headersDistinct, text)))
    })
    outgoing.on('error', reject)
    outgoing.end(sent)
  })
  return within(answer, `an answer to ${sent.slice(0, 200)}`, 60_000)
}

function asAnswer(status: number, fields: NodeJS.Dict<string[]>, text: string): Answer {
  const headers = new Headers(
    Object.entries(fields).flatMap(([name, values]) =>
      (values ?? []).map((value): [string, string] => [name, value]),
    ),
  )
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    parsed = undefined
  }
  return { status, headers, messages: Array.isArray(parsed) ? (parsed as Wire[]) : [], text }
}

/** A long-poll session. Every call is one request. Only `next()` polls by itself. */
export class LongPollPeer extends Peer {
  readonly transport = 'longpoll'
  readonly #headers: Record<string, string>
  readonly #gone = new AbortController()
  #seq = 0
  /** With the additions, a client sends the positions of what it has received in every poll. */
  #positions: Record<string, unknown> | undefined
  #token: string | undefined

  constructor(subject: Subject, headers: Record<string, string> = {}) {
    super(subject)
    this.#headers = headers
    // Each request listens until it is answered.
    setMaxListeners(0, this.#gone.signal)
    onTestFinished(() => this.close())
  }

  /** The token of the session, after `auth` was accepted. */
  get token(): string {
    if (this.#token === undefined) throw new Error('There is no session yet')
    return this.#token
  }

  /** What a poll sends: the position of each channel up to which messages were received. */
  get positions(): Readonly<Record<string, unknown>> {
    return { ...this.#positions }
  }

  /** Posts a message with the token of the session. The caller handles the answer. */
  async post(message: object, options: PostOptions = {}): Promise<Answer> {
    const signal = options.signal ? AbortSignal.any([options.signal, this.#gone.signal]) : this.#gone.signal
    const body = this.#token === undefined ? message : { ...message, __token: this.#token }
    return post(this.subject.url, body, {
      ...options,
      signal,
      headers: { ...this.#headers, ...options.headers },
    })
  }

  /** Sends one poll. It has a new `seq`, unless one is given. */
  poll(fields: object = {}, options: PostOptions = {}): Promise<Answer> {
    const positions = this.#positions && { positions: { ...this.#positions } }
    return this.post({ __type: 'poll', seq: String(this.#seq++), ...positions, ...fields }, options)
  }

  async send(message: object | string): Promise<void> {
    const { messages } =
      typeof message === 'string'
        ? await post(this.subject.url, message, { headers: this.#headers, signal: this.#gone.signal })
        : await this.post(message)
    this.#receive(messages)
  }

  async next(): Promise<Wire> {
    while (this.inbox.size === 0) {
      const { status, messages, text } = await this.poll()
      if (status !== 200) throw new Error(`A poll was answered with ${status} ${text}`)
      this.#receive(messages)
    }
    return this.inbox.take('message')
  }

  #receive(messages: Wire[]): void {
    for (const { __type: type, channel, position, __token: token, __v: version } of messages) {
      if (type === 'authOk') {
        this.#token = token as string
        // Without a prototype, because the name of a channel may be `__proto__`.
        this.#positions = version === undefined ? undefined : (Object.create(null) as Record<string, unknown>)
      }
      if (!this.#positions || typeof channel !== 'string') continue
      if (type === 'unsubscribeOk' || type === 'unsubscribed') delete this.#positions[channel]
      else if (position !== undefined) this.#positions[channel] = position
    }
    this.inbox.push(...messages)
  }

  /** Aborts all requests in flight. The session ends by itself. */
  async close(): Promise<void> {
    this.#gone.abort()
  }
}
