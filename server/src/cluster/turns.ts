/**
 * Tasks that wait, each for one owner or several. Owners have turns, one after the other: an owner with a thousand tasks
 * delays an owner with one task by no more than one task.
 */
export class Turns<Owner, Task> {
  /** In the order of the turns. No owner is here without a task. */
  readonly #tasks = new Map<Owner, Set<Task>>()
  readonly #owners = new Map<Task, Set<Owner>>()

  has(task: Task): boolean {
    return this.#owners.has(task)
  }

  /** A task that waits already gets one more owner. With `isNext` it is the next one of its owner. */
  add(task: Task, owner: Owner, isNext = false): void {
    const tasks = this.#tasks.get(owner) ?? new Set()
    const owners = this.#owners.get(task) ?? new Set()
    this.#tasks.set(owner, isNext ? new Set([task, ...tasks]) : tasks.add(task))
    this.#owners.set(task, owners.add(owner))
  }

  /** Takes the next task out, of those owners who may have one. */
  take(mayHave: (owner: Owner) => boolean = () => true): { task: Task; owner: Owner } | undefined {
    for (const [owner, tasks] of this.#tasks) {
      if (!mayHave(owner)) continue
      const [task] = tasks
      this.remove(task!)
      // This owner's next turn comes after that of all others.
      if (this.#tasks.delete(owner)) this.#tasks.set(owner, tasks)
      return { task: task!, owner }
    }
    return undefined
  }

  remove(task: Task): void {
    for (const owner of this.#owners.get(task) ?? []) {
      const tasks = this.#tasks.get(owner)!
      tasks.delete(task)
      if (tasks.size === 0) this.#tasks.delete(owner)
    }
    this.#owners.delete(task)
  }
}
