/** Random numbers from a seed. The same seed gives the same faults in the same order. */
export class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** A number from 0 to less than 1 (mulberry32). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let t = this.#state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }

  between(least: number, most: number): number {
    return least + this.next() * (most - least)
  }

  pick<T>(things: readonly T[]): T {
    return things[Math.floor(this.next() * things.length)]!
  }

  shuffle<T>(things: readonly T[]): T[] {
    return things
      .map((thing) => ({ thing, key: this.next() }))
      .sort((a, b) => a.key - b.key)
      .map(({ thing }) => thing)
  }
}
