import { onNextFrame } from './frame.ts'

type Reduce<Item> = (list: readonly Item[], item: Item) => readonly Item[]

const none: readonly never[] = []

/** The list of useChannelMessages(), for useSyncExternalStore(). React sees its changes with the next frame. */
export class MessageList<Item> {
  #items: readonly Item[] = none
  #shown = this.#items
  #notify: (() => void) | undefined

  readonly get = (): readonly Item[] => this.#shown

  readonly subscribe = (notify: () => void): (() => void) => {
    this.#notify = notify
    return () => {
      this.#notify = undefined
    }
  }

  add(item: Item | undefined, limit: number, reduce: Reduce<Item> = append): void {
    if (item === undefined) return
    const items = reduce(this.#items, item)
    this.#items = items.length > limit ? items.slice(items.length - limit) : items
    onNextFrame(this.#show)
  }

  readonly clear = (): void => {
    this.#items = none
    this.#show()
  }

  readonly #show = (): void => {
    this.#shown = this.#items
    this.#notify?.()
  }
}

function append<Item>(list: readonly Item[], item: Item): readonly Item[] {
  return [...list, item]
}
