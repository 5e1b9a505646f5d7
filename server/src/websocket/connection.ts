import {
  closeCodes,
  commonVersion,
  cutReason,
  parseClientMessage,
  readClientName,
  readFormerNode,
  readGeneration,
  reasons,
  type Auth,
  type CloseName,
  type ServerMessage,
} from '@broadcaster/protocol'
import { ENVELOPE_BYTES, readAuthData, type Access, type Authenticate } from '../clients/access.ts'
import type { Buffering, BufferBudget } from './bufferBudget.ts'
import type { Ending, Endings } from '../clients/endings.ts'
import { messageFrame, type FrameFormat } from '../channels/frames.ts'
import type { Hub } from '../hub/hub.ts'
import type { Link } from './link.ts'
import type { EventLogger } from '../logger.ts'
import type { NewNames } from '../clients/newNames.ts'
import type { Limits } from '../limits.ts'
import type { Counts, LimitName } from '../metrics/counts.ts'
import { withoutInput, type Refusal, type RefusalKind } from '../clients/refusals.ts'
import { Requests, type Requested } from './requests.ts'
import type { Revocations } from '../clients/revocations.ts'
import { Subscriptions, type SubscribingClient } from './subscriptions.ts'

/** What a connection needs of the server. */
export interface ConnectionHost {
  /** The id of this node. */
  readonly node: string
  readonly hub: Hub
  readonly access: Access
  readonly revocations: Revocations
  readonly endings: Endings
  readonly newNames: NewNames
  readonly limits: Limits
  readonly budget: BufferBudget
  readonly logger: EventLogger
  readonly counts: Counts
  /** The maximum time for a confirmation of Redis, in ms. */
  readonly brokerTimeoutMs: number
  /** Whether the additions of the protocol are enabled. */
  readonly recovery: boolean
  /** The connection is authenticated. From now on it counts as a client. */
  authenticated(auth: Auth, connection: Connection): void
  closed(connection: Connection): void
  refused(refusal: Refusal, link: Pick<Link, 'address'>): void
}

/** All connections share these objects, to save memory. */
const formats: readonly [FrameFormat, FrameFormat, FrameFormat, FrameFormat] = [
  { positions: false, compressed: false },
  { positions: true, compressed: false },
  { positions: false, compressed: true },
  { positions: true, compressed: true },
]

/** A WebSocket client from its first frame to its end. Authenticates the client and answers its requests. */
export class Connection implements Requested, SubscribingClient, Buffering, Ending {
  auth: Record<string, unknown> = {}
  /** The context that `canConnect` returned. */
  context: unknown = undefined
  client: string | null = null
  generation = 0
  formerNode: string | null = null

  readonly #host: ConnectionHost
  readonly #link: Link
  readonly #requests: Requests
  #state: 'new' | 'authenticating' | 'open' | 'closed' = 'new'
  /** `null` until the client is authenticated. */
  #subscriptions: Subscriptions | null = null
  #authTimer: NodeJS.Timeout | null
  /** Calls `canConnect` with the request that opened the connection. It is released then, so that the request is, too. */
  #authenticate: Authenticate | null

  constructor(host: ConnectionHost, link: Link, authenticate: Authenticate) {
    this.#host = host
    this.#link = link
    this.#requests = new Requests(link, host.limits, host.budget, host.counts, this)
    this.#authenticate = authenticate
    const { authTimeout } = host.limits
    this.#authTimer = Number.isFinite(authTimeout)
      ? setTimeout(() => this.#closeFor('limit', 'authTimeout', { limit: 'authTimeout' }), authTimeout)
      : null
  }

  get isOpen(): boolean {
    return this.#state === 'open'
  }

  get isAuthenticating(): boolean {
    return this.#state === 'authenticating'
  }

  get isClosed(): boolean {
    return this.#state === 'closed'
  }

  get isLagging(): boolean {
    return this.#subscriptions?.isLagging === true
  }

  get queuedBytes(): number {
    return this.#link.bufferedBytes + this.#requests.waitingBytes
  }

  /** A frame has arrived. */
  receive(text: string): void {
    if (this.#state === 'closed') return
    switch (this.#requests.receive(text)) {
      case 'tooMuch':
        return this.#closeFor('frame', 'tooManyRequests')
      case 'tooMuchForAll':
        return this.#closeFor('limit', 'tryAgainLater', { limit: 'totalBufferedBytes' })
    }
  }

  take(text: string): void {
    const { authBytes } = this.#host.limits
    if (this.#state === 'new' && text.length > authBytes + ENVELOPE_BYTES) {
      return this.#refuse(reasons.authTooLarge)
    }
    const parsed = parseClientMessage(text)
    if (parsed.kind === 'bad') return this.#closeFor('frame', 'badMessage', { reason: parsed.reason })
    const message = parsed.kind === 'message' ? parsed.message : null
    const subscriptions = this.#subscriptions
    if (subscriptions === null) {
      if (message?.__type === 'auth') this.#handshake(message).catch((error: unknown) => this.#fail(error))
      else this.#refuse(reasons.authExpected)
      return
    }
    if (parsed.kind === 'noChannel') {
      const type = parsed.type === 'subscribe' ? 'subscribeError' : 'unsubscribeError'
      return this.send({ __type: type, channel: '', reason: reasons.channelExpected })
    }
    switch (message?.__type) {
      case 'subscribe':
        return this.#requests.inOrder(message.channel, () => subscriptions.subscribe(message))
      case 'unsubscribe':
        return this.#requests.inOrder(message.channel, async () => {
          subscriptions.unsubscribe(message.channel)
          this.send({ __type: 'unsubscribeOk', channel: message.channel })
        })
      case 'ping':
        // The base has no answer to a ping.
        if (subscriptions.format.positions) this.send({ __type: 'pong' })
        return
      default:
        this.send({ __type: 'unknown' })
    }
  }

  failed(channel: string, error: unknown): void {
    this.#host.logger.error({ event: 'requestFailed', err: error, channel }, 'A request of a client failed')
    this.send({ __type: 'serverError', channel, reason: reasons.serverError })
  }

  /** Closes the connection. */
  close(name: CloseName, reason: string = closeCodes[name].reason): void {
    if (this.#state === 'closed') return
    this.#link.close(closeCodes[name].code, cutReason(reason))
    this.ended()
  }

  /** The connection has ended. A second call does nothing. */
  ended(): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#stopAuthTimer()
    this.#host.endings.delete(this)
    this.#subscriptions?.end()
    this.#requests.end()
    this.#host.closed(this)
  }

  /**
   * Clients were disconnected by their context. The context of a client that has not authenticated is not known, so it has to
   * reconnect with a new request.
   */
  endUnauthenticated(): void {
    if (this.#state === 'new') this.close('restart')
  }

  expire(): void {
    // Clients of the base come back after every other code, with the same credentials.
    if (this.#hasAdditions) this.close('reauthorize', reasons.credentialsExpired)
    else this.close('unauthorized')
  }

  /** The client has to send credentials again, which may be the same ones. */
  reauthorize(): void {
    this.close(this.#hasAdditions ? 'reauthorize' : 'restart')
  }

  get #hasAdditions(): boolean {
    return this.#subscriptions?.format.positions === true
  }

  /** The server takes the channel away. */
  revoke(name: string): void {
    this.#subscriptions?.revoke(name, reasons.unsubscribedByServer)
  }

  /** Checks whether the client reads. Must be called periodically. */
  sweep(): void {
    this.#subscriptions?.sweep()
  }

  // -- what is sent

  send(message: ServerMessage): void {
    if (this.#state !== 'closed') this.answer(messageFrame(message))
  }

  /** Writes an answer. If the client has too many unread answers, the server does not read from it until it has read them. */
  answer(frame: Buffer): void {
    this.#link.write(frame)
    this.#host.counts.sentBytes.websocket += frame.length
    if (this.#link.bufferedBytes > 0) this.#host.budget.add(frame.length)
    if (this.#requests.answered(frame.length)) this.waitForDrain()
  }

  waitForDrain(): void {
    this.#link.onDrained(() => {
      // Requests have precedence over the backlog, which may never end. The client may want to unsubscribe.
      this.#requests.drained()
      this.#subscriptions?.catchUp()
    })
  }

  // -- authentication

  async #handshake(auth: Auth): Promise<void> {
    const authenticate = this.#authenticate!
    this.#authenticate = null
    this.#state = 'authenticating'
    const data = readAuthData(auth, this.#host.limits.authBytes)
    if (data === null) return this.#refuse(reasons.authTooLarge)
    const { revocations } = this.#host
    const begun = revocations.now
    const answer = await authenticate(data)
    if (this.isClosed) return
    if (!answer.isAllowed) return this.#refuse(answer.reason)
    // `canConnect` is not called again, because the request and the data of middleware are from before the revocation.
    if (revocations.hasDisconnected(begun, answer.context)) return this.close('restart')
    this.#stopAuthTimer()
    this.auth = answer.auth
    this.context = answer.context
    this.client = readClientName(auth)
    this.generation = readGeneration(auth)
    this.formerNode = readFormerNode(auth)
    const version = this.#host.recovery ? commonVersion(auth.__v) : 0
    const format = formats[(version > 0 ? 1 : 0) + (this.#link.isCompressing ? 2 : 0)]!
    this.#subscriptions = new Subscriptions(this.#host, this.#link, this, format)
    this.#state = 'open'
    this.#host.endings.add(this, answer.endsAt)
    this.send(authOk(version, this.#host.node))
    this.#host.authenticated(auth, this)
    this.#requests.resume()
  }

  #refuse(reason: string): void {
    this.send({ __type: 'authError', reason })
    this.#closeFor('auth', 'unauthorized', { reason })
  }

  #closeFor(
    kind: RefusalKind,
    name: CloseName,
    { reason = closeCodes[name].reason, limit }: { reason?: string; limit?: LimitName } = {},
  ): void {
    this.#host.refused({ kind, reason: withoutInput(reason), limit }, this.#link)
    this.close(name, reason)
  }

  /** Handles an error that is caused neither by the client nor by the broker. */
  #fail(error: unknown): void {
    this.#host.logger.error({ event: 'authenticationFailed', err: error }, 'Authenticating a client failed')
    this.close('serverError')
  }

  #stopAuthTimer(): void {
    if (this.#authTimer !== null) clearTimeout(this.#authTimer)
    this.#authTimer = null
  }
}

function authOk(version: number, node: string): ServerMessage {
  const message = { __type: 'authOk' } as const
  if (version === 0) return message
  return version === 1 ? { ...message, __v: 1 } : { ...message, __v: version, __node: node }
}
