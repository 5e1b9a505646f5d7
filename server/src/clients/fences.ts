import { uptimeMs } from '../time/uptime.ts'

/**
 * Which connection of a client is its newest, as far as it was told lately: older ones end. Nobody has to be asked at a
 * poll, since every node hears of every fence.
 */
export class Fences {
  readonly #lifeMs: number
  readonly #fences = new Map<string, { generation: number; at: number }>()

  /** A fence is remembered for as long as an older session can live. */
  constructor(lifeMs: number) {
    this.#lifeMs = lifeMs
  }

  add(client: string, generation: number): void {
    const now = uptimeMs()
    const known = this.#fences.get(client)
    if (known !== undefined && known.generation >= generation) return
    this.#fences.delete(client)
    this.#fences.set(client, { generation, at: now })
    // A Map keeps the order of insertion: the oldest are in front.
    for (const [name, fence] of this.#fences) {
      if (now - fence.at <= this.#lifeMs) break
      this.#fences.delete(name)
    }
  }

  isFenced(client: string | null, generation: number): boolean {
    return client !== null && (this.#fences.get(client)?.generation ?? 0) > generation
  }
}
