/** The maximum number of beacons. When there are more, the older half is forgotten. */
const MAX_BEACONS = 4096

/** The latest beacons of the present run that were received without an interruption, in order. */
export class ReceivedBeacons {
  #numbers: number[] = []

  add(n: number): void {
    this.#numbers.push(n)
    if (this.#numbers.length > MAX_BEACONS) this.#numbers = this.#numbers.slice(MAX_BEACONS / 2)
  }

  clear(): void {
    this.#numbers = []
  }

  /** Whether it is certain that this beacon was not received, although earlier and later ones were. */
  lacks(n: number): boolean {
    const numbers = this.#numbers
    if (numbers.length === 0 || n <= numbers[0]! || n >= numbers.at(-1)!) return false
    let [low, high] = [0, numbers.length - 1]
    while (low < high) {
      const middle = (low + high) >> 1
      if (numbers[middle]! < n) low = middle + 1
      else high = middle
    }
    return numbers[low] !== n
  }
}
