import {
  closeCodes,
  commonVersion,
  cutReason,
  parseClientMessage,
  reasons,
  type Auth,
  type CloseName,
  type GapReason,
  type ServerMessage,
} from '@broadcaster/protocol'
import type { ChannelLog, Entry } from './channelLog.ts'
import { channelExpected, ServerClient } from './serverClient.ts'
import type { TestServer } from './testServer.ts'

/** What a connection needs of its socket. */
export interface ServerSocket {
  send(message: ServerMessage): void
  close(code: number, reason: string): void
}

/** The server's side of a WebSocket. */
export class Connection extends ServerClient {
  protected readonly replaysHeld = false
  readonly #socket: ServerSocket
  #state: 'new' | 'authenticating' | 'open' | 'closed' = 'new'
  /** Frames that came during the authentication. */
  #waiting: string[] = []

  constructor(server: TestServer, socket: ServerSocket) {
    super(server)
    this.#socket = socket
  }

  receive(text: string): void {
    if (this.#state === 'authenticating') return void this.#waiting.push(text)
    if (this.#state === 'closed') return
    const parsed = parseClientMessage(text)
    if (parsed.kind === 'bad') return this.#close('badMessage', parsed.reason)
    const message = parsed.kind === 'message' ? parsed.message : null
    if (this.#state === 'new') {
      if (message?.__type === 'auth') void this.#authenticate(message)
      else this.#refuse(reasons.authExpected)
      return
    }
    if (parsed.kind === 'noChannel') return this.#send(channelExpected(parsed.type))
    switch (message?.__type) {
      case 'subscribe':
        return this.#send(this.subscribe(message))
      case 'unsubscribe':
        this.channels.delete(message.channel)
        return this.#send({ __type: 'unsubscribeOk', channel: message.channel })
      case 'ping':
        // The base has no answer to a ping.
        if (this.version > 0) this.#send({ __type: 'pong' })
        return
      default:
        this.#send({ __type: 'unknown' })
    }
  }

  /** The socket is gone. */
  gone(): void {
    this.#state = 'closed'
    this.server.leave(this)
  }

  override arrived(log: ChannelLog, entry: Entry): void {
    this.channels.set(log.name, entry.count)
    this.#send(this.message(log, entry))
  }

  override missed(log: ChannelLog, reason: GapReason): void {
    if (this.version === 0) return this.#close('gap')
    this.channels.set(log.name, log.head)
    this.#send({ __type: 'gap', channel: log.name, position: log.positionOf(log.head), reason })
  }

  override taken(channel: string): void {
    if (this.version === 0) return this.#close('gap')
    this.channels.delete(channel)
    this.#send({ __type: 'unsubscribed', channel, reason: reasons.channelRefused })
  }

  override end(why: 'replaced' | 'expired'): void {
    if (why === 'replaced') this.#close('replaced')
    else if (this.version > 0) this.#close('reauthorize', reasons.credentialsExpired)
    else this.#close('unauthorized')
  }

  async #authenticate(auth: Auth): Promise<void> {
    this.#state = 'authenticating'
    const authenticated = await this.server.authenticate(auth)
    // The socket may be gone by now.
    if ((this.#state as string) === 'closed') return
    if ('refusal' in authenticated) return this.#refuse(authenticated.refusal)
    this.#state = 'open'
    this.version = commonVersion(auth.__v)
    const ok = { __type: 'authOk' } as const
    const { version } = this
    this.#send(version === 0 ? ok : { ...ok, __v: version, ...(version > 1 && { __node: this.server.node }) })
    this.server.join(this, auth, authenticated.endsAt)
    for (const text of this.#waiting.splice(0)) this.receive(text)
  }

  #refuse(reason: string): void {
    this.#send({ __type: 'authError', reason })
    this.#close('unauthorized', reason)
  }

  #send(message: ServerMessage): void {
    if (this.#state !== 'closed') this.#socket.send(message)
  }

  #close(name: CloseName, reason: string = closeCodes[name].reason): void {
    if (this.#state === 'closed') return
    this.gone()
    this.#socket.close(closeCodes[name].code, cutReason(reason))
  }
}
