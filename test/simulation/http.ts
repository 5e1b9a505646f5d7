import type { FetchLike } from '@broadcaster/client'
import type { Attached, SimulatedNode } from './cluster.ts'
import type { Route } from './socket.ts'
import { short } from './trace.ts'
import { delayMs, type World } from './world.ts'

/** Whether a request or an answer is lost, and whether the client notices it. */
type Loss = 'no' | 'told' | 'silent'

/**
 * The `fetch` of a client. Every request goes to a random node, and can be lost, late, or duplicated. `unnoticed` is the
 * probability that a server does not notice that the client has aborted the request.
 */
export function fetchThrough(
  world: World,
  route: Route,
  requests: Set<SimulatedRequest>,
  unnoticed = 0.2,
): FetchLike {
  return (_url, { body, signal }) =>
    new Promise((resolve, reject) => {
      const request = new SimulatedRequest(world, route, body, signal, unnoticed, (answer) => {
        requests.delete(request)
        if (answer instanceof Error) reject(answer)
        else resolve({ status: answer.status, text: async () => answer.body })
      })
      requests.add(request)
    })
}

type Result = { readonly status: number; readonly body: string } | Error

/** A request of a client, with all its copies that arrive at nodes. */
export class SimulatedRequest {
  readonly #world: World
  readonly #route: Route
  readonly #body: string
  readonly #done: (result: Result) => void
  readonly #copies = new Set<Copy>()
  readonly #unnoticed: number
  #isCut = false
  #isOver = false

  constructor(
    world: World,
    route: Route,
    body: string,
    signal: AbortSignal,
    unnoticed: number,
    done: (result: Result) => void,
  ) {
    const { random, conditions, trace, counts } = world
    this.#world = world
    this.#route = route
    this.#body = body
    this.#unnoticed = unnoticed
    this.#done = done
    trace?.add(route.name, `⇒ ${short(body)}`)
    signal.addEventListener('abort', () => {
      this.#finish(signal.reason instanceof Error ? signal.reason : new Error('aborted'))
      this.#leaveAfter(random.between(0, 20))
    })
    if (random.chance(conditions.requestLost)) {
      trace?.add(route.name, 'the request is lost')
      counts.add('fault: request lost')
      this.#lose(this.#loss())
      return
    }
    const answerIs = random.chance(conditions.answerLost) ? this.#loss() : 'no'
    if (random.chance(conditions.duplicated)) {
      // A proxy lost the first answer and sends the request again. The client gets the second answer.
      trace?.add(route.name, 'the request arrives twice')
      counts.add('fault: request doubled')
      const firstAfterMs = delayMs(world)
      const againAfterMs = firstAfterMs + random.between(1, 50)
      this.#send(firstAfterMs, 'silent')
      this.#leaveAfter(againAfterMs - 1)
      this.#send(againAfterMs, answerIs)
    } else {
      this.#send(delayMs(world), answerIs)
    }
  }

  /** Breaks the connection while the request waits at the server. */
  cut(): void {
    this.#world.trace?.add(this.#route.name, 'the request is cut')
    this.#isCut = true
    this.#lose(this.#loss())
    this.#leaveAfter(this.#world.random.between(0, 20))
  }

  #loss(): Loss {
    return this.#world.random.chance(this.#world.conditions.silently) ? 'silent' : 'told'
  }

  #send(afterMs: number, answerIs: Loss): void {
    const copy = new Copy(() => this.#lose(this.#loss()))
    this.#copies.add(copy)
    setTimeout(() => {
      // The server does not read a request if its connection has ended before.
      if (copy.gone.signal.aborted) return
      const node = this.#route.pick()
      if (node === null) return this.#lose('told')
      copy.arrive(node)
      this.#world.trace?.add(this.#route.name, `⇒ at ${node.name}`)
      void node.handle(this.#body, copy.gone.signal).then((answer) => {
        this.#copies.delete(copy)
        if (!copy.end()) return
        if (this.#isCut) return
        if (answerIs !== 'no') {
          this.#world.trace?.add(this.#route.name, `the answer is lost: ${short(answer.body)}`)
          this.#world.counts.add('fault: answer lost')
          return this.#lose(answerIs)
        }
        setTimeout(() => this.#finish(answer), delayMs(this.#world))
      })
    }, afterMs)
  }

  #lose(loss: Loss): void {
    if (loss === 'told')
      setTimeout(() => this.#finish(new Error('The connection broke')), delayMs(this.#world))
  }

  /** The servers notice that the client has aborted the copies that were sent so far, unless they fail to notice. */
  #leaveAfter(ms: number): void {
    if (this.#world.random.chance(this.#unnoticed)) return
    const copies = [...this.#copies]
    setTimeout(() => {
      for (const copy of copies) copy.gone.abort()
    }, ms)
  }

  #finish(result: Result): void {
    if (this.#isOver) return
    this.#isOver = true
    const text = result instanceof Error ? result.message : `${result.status} ${short(result.body)}`
    this.#world.trace?.add(this.#route.name, `⇐ ${text}`)
    this.#done(result)
  }
}

/** A copy of a request, for one node. */
class Copy implements Attached {
  readonly gone = new AbortController()
  readonly #onNodeDied: () => void
  #node: SimulatedNode | null = null
  #isOver = false

  constructor(onNodeDied: () => void) {
    this.#onNodeDied = onNodeDied
  }

  arrive(node: SimulatedNode): void {
    this.#node = node
    node.attached.add(this)
  }

  /** Ends the copy. Returns false if the node has died or the copy has ended before. */
  end(): boolean {
    const isFirst = !this.#isOver
    this.#isOver = true
    this.#node?.attached.delete(this)
    return isFirst
  }

  nodeDied(): void {
    this.#isOver = true
    this.#onNodeDied()
  }
}
