import type { NextFunction, Request, Response } from 'express'
import type { Address } from '../clients/addresses.ts'
import type { Admission } from '../clients/admission.ts'
import { NODE_FULL, overLimit, type Refusal } from '../clients/refusals.ts'
import type { Revocations } from '../clients/revocations.ts'
import type { OriginCheck } from './origin.ts'
import { NO_ROOM_RETRY_SECONDS, setTooMany, TOKEN_RETRY_SECONDS } from './tooMany.ts'

/** What a WebSocket request needs of the node. */
export interface WebSocketNode {
  readonly admission: Admission
  readonly revocations: Revocations
  readonly isFull: boolean
  readonly isDraining: boolean
  /** The number of sockets in use. */
  sockets: number
  /** Whether there is room for one more WebSocket that has not authenticated. */
  makeRoom(): boolean
}

/** Decides whether WebSocket requests are accepted. A refused request gets an HTTP answer before the handshake. */
export class WebSocketRequests {
  readonly #node: WebSocketNode
  readonly #checkOrigin: OriginCheck
  readonly #accept: (req: Request) => void

  /** @param accept Completes the handshake. */
  constructor(node: WebSocketNode, checkOrigin: OriginCheck, accept: (req: Request) => void) {
    this.#node = node
    this.#checkOrigin = checkOrigin
    this.#accept = accept
  }

  serve(req: Request, res: Response, next: NextFunction): void {
    const node = this.#node
    const { addresses } = node.admission
    const begun = node.revocations.now
    const address = addresses.of(req)
    if (!addresses.takeRequest(address)) {
      this.#note(address, overLimit('requestsPerSecond', 'too many requests of one address'))
      return void setTooMany(res, TOKEN_RETRY_SECONDS).end()
    }
    if (!addresses.enter(address)) {
      this.#note(address, overLimit('connectionsPerAddress', 'too many connections of one address'))
      return void setTooMany(res, NO_ROOM_RETRY_SECONDS).end()
    }
    // The request counts as a socket while the check of its origin is running.
    let isUnderWay = true
    const decided = () => {
      if (!isUnderWay) return
      isUnderWay = false
      node.sockets -= 1
      addresses.leave(address)
    }
    node.sockets += 1
    req.socket.once('close', decided)
    const decide = (isAllowed: boolean) => {
      req.socket.off('close', decided)
      decided()
      if (!isAllowed) res.status(403).end()
      else if (node.isDraining || node.revocations.hasDisconnectedAnybody(begun)) res.status(503).end()
      else if (node.isFull) this.#refuse(res, address, NODE_FULL)
      else if (!node.makeRoom())
        this.#refuse(res, address, overLimit('unauthenticated', 'too many that have not authenticated'))
      else this.#accept(req)
    }
    this.#checkOrigin(req, decide, next)
  }

  #refuse(res: Response, address: Address, refusal: Refusal): void {
    this.#note(address, refusal)
    res.status(503).end()
  }

  #note({ key }: Address, refusal: Refusal): void {
    this.#node.admission.refusals.note(refusal, { address: key })
  }
}
