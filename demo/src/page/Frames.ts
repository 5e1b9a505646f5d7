/** Updates that are slower than this can be read. */
const SHORTEST_MS = 100

/**
 * A store that tells React of changes at most ten times a second, in an animation frame. However many messages arrive, there is one
 * snapshot and one render. In a hidden tab there are no frames, so nothing is rendered, and nothing waits in memory.
 */
export abstract class Frames<Snapshot> {
  readonly #listeners = new Set<() => void>()
  #snapshot: Snapshot | undefined
  #isScheduled = false
  #renderedAt = 0

  protected abstract takeSnapshot(): Snapshot

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  readonly getSnapshot = (): Snapshot => (this.#snapshot ??= this.takeSnapshot())

  protected changed(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    requestAnimationFrame(this.#render)
  }

  readonly #render = (now: number): void => {
    if (now - this.#renderedAt < SHORTEST_MS) {
      requestAnimationFrame(this.#render)
      return
    }
    this.#isScheduled = false
    this.#renderedAt = now
    this.#snapshot = this.takeSnapshot()
    for (const listener of this.#listeners) listener()
  }
}
