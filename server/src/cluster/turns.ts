/**
 * Tasks that wait, each for one owner or several. Owners have turns, one after the other: an owner with a thousand tasks
 * delays an owner with one task by no more than one task.
 */
export class Turns<Owner, Task> {
  /** The tasks of each owner, in the order of the turns. Every owner has at least one. */
  readonly #tasks = new Map<Owner, Set<Task>>()
  readonly #owners = new Map<Task, Set<Owner>>()

  has(task: Task): boolean {
    return this.#owners.has(task)
  }

  /** Adds a task. If it is already waiting, it gets one more owner. With `isNext`, it is the next task of its owner. */
  add(task: Task, owner: Owner, isNext = false): void {
    const tasks = this.#tasks.get(owner) ?? new Set()
    const owners = this.#owners.get(task) ?? new Set()
    this.#tasks.set(owner, isNext ? new Set([task, ...tasks]) : tasks.add(task))
    this.#owners.set(task, owners.add(owner))
  }

  /** Removes and returns the next task. An owner is skipped if `mayHave` is false for its next task. */
  take(
    mayHave: (owner: Owner, task: Task) => boolean = () => true,
  ): { task: Task; owner: Owner } | undefined {
    for (const [owner, tasks] of this.#tasks) {
      const [task] = tasks
      if (!mayHave(owner, task!)) continue
      this.remove(task!)
      // The next turn of this owner comes after those of all other owners.
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
