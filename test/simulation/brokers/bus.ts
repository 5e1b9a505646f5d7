import { Pipe } from '../pipe.ts'
import type { World } from '../world.ts'
import type { Kind, Server } from './server.ts'

interface BusMessage {
  readonly channel: string
  readonly body: string
  readonly kind: Kind
}

/** The bus of a Redis Cluster: a link from each server to each other one. What is sent while a link is broken is lost. */
export class Bus {
  readonly #world: World
  readonly #links = new Map<string, Pipe<BusMessage>>()
  readonly #broken = new Set<string>()

  constructor(world: World) {
    this.#world = world
  }

  /** The messages in flight. */
  *inFlight(): Iterable<BusMessage> {
    for (const link of this.#links.values()) yield* link.items
  }

  send(from: Server, to: Server, message: BusMessage): void {
    const key = keyOf(from, to)
    if (this.#broken.has(key) || from.isIsolated || to.isIsolated) return
    let link = this.#links.get(key)
    if (link === undefined) {
      const deliver = (items: readonly BusMessage[]): void => {
        if (to.isUp && !to.isFrozen)
          for (const { channel, body, kind } of items) to.deliver(channel, body, kind)
      }
      link = new Pipe(() => this.#world.random.between(0, 2), deliver)
      this.#links.set(key, link)
    }
    link.send(message)
  }

  /** The link stands still, or is broken for a while. */
  disturb(from: Server, to: Server): void {
    const { random } = this.#world
    const key = keyOf(from, to)
    if (random.chance(0.5)) return this.#links.get(key)?.stall(random.between(50, 1500))
    this.#links.get(key)?.clear()
    this.#broken.add(key)
    setTimeout(() => this.#broken.delete(key), random.between(100, 3000))
  }
}

function keyOf(from: Server, to: Server): string {
  return `${from.index} ${to.index}`
}
