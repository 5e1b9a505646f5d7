import { uptimeMs } from '../time/uptime.ts'

/**
 * Stores the generation of each client's newest connection, for a limited time. Connections with a lower generation
 * must end. Every node receives every fence, so a poll can check this locally.
 */
export class Fences {
  readonly #lifeMs: number
  readonly #fences = new Map<string, { generation: number; addedAt: number }>()

  /** @param lifeMs How long a fence is stored. It must be as long as an older session can live. */
  constructor(lifeMs: number) {
    this.#lifeMs = lifeMs
  }

  add(client: string, generation: number): void {
    const now = uptimeMs()
    const known = this.#fences.get(client)
    if (known !== undefined && known.generation >= generation) return
    this.#fences.delete(client)
    this.#fences.set(client, { generation, addedAt: now })
    // A Map keeps the order of insertion, so the oldest fences come first.
    for (const [name, fence] of this.#fences) {
      if (now - fence.addedAt <= this.#lifeMs) break
      this.#fences.delete(name)
    }
  }

  isFenced(client: string | null, generation: number): boolean {
    return client !== null && (this.#fences.get(client)?.generation ?? 0) > generation
  }
}
