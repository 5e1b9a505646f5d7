import type { Commands } from './redisConnection.ts'

/**
 * The number of connections of each node. Each number is in a key that expires, so a node that was killed does not stay
 * in the sum.
 */
export class RedisReports {
  readonly #commands: Commands
  readonly #namespace: string
  /**
   * Whether this node has removed nodes that are gone from the list of nodes. Once is enough: each node that was killed
   * had started before, so the list does not grow.
   */
  #hasRemovedGone = false

  constructor(commands: Commands, namespace: string) {
    this.#commands = commands
    this.#namespace = namespace
  }

  async set(node: string, connections: number, ttlMs: number): Promise<void> {
    const commands = this.#commands
    await Promise.all([
      commands.set(this.#keyOf(node), connections, 'PX', ttlMs),
      commands.sadd(this.#nodesKey, node),
    ])
    if (this.#hasRemovedGone) return
    const gone = (await this.#ofOthers(node)).filter(([, count]) => count === null)
    if (gone.length > 0) await commands.srem(this.#nodesKey, ...gone.map(([other]) => other))
    this.#hasRemovedGone = true
  }

  async sumOfOthers(node: string): Promise<number> {
    const reports = await this.#ofOthers(node)
    return reports.reduce((sum, [, count]) => sum + Number(count ?? 0), 0)
  }

  async remove(node: string): Promise<void> {
    const commands = this.#commands
    await Promise.all([commands.del(this.#keyOf(node)), commands.srem(this.#nodesKey, node)])
  }

  /** The last report of each other node; `null` if it has expired. It only reads, also while Redis refuses writes. */
  async #ofOthers(node: string): Promise<(readonly [node: string, connections: string | null])[]> {
    const commands = this.#commands
    const others = (await commands.smembers(this.#nodesKey)).filter((other) => other !== node)
    return Promise.all(others.map(async (other) => [other, await commands.get(this.#keyOf(other))] as const))
  }

  #keyOf(node: string): string {
    return `${this.#namespace}connections:${node}`
  }

  get #nodesKey(): string {
    return `${this.#namespace}nodes`
  }
}
