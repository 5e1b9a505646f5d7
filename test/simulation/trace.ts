/** The events of a run, one per line: the time, the part of the run, and the event. */
export class Trace {
  readonly #lines: string[] = []
  readonly #now: () => number

  constructor(now: () => number) {
    this.#now = now
  }

  add(who: string, what: string): void {
    this.#lines.push(`${String(this.#now()).padStart(7)}  ${who.padEnd(8)} ${what}`)
  }

  /** Replaces random names by numbers in order of appearance, so that the same seed gives the same text. */
  toString(): string {
    const names = new Map<string, string>()
    return this.#lines
      .join('\n')
      .replace(/[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}|\b[\da-f]{32}\b|\b\d+(-\d+){3}\b/g, (name) => {
        const known = names.get(name) ?? `id${names.size + 1}`
        names.set(name, known)
        return known
      })
  }
}

/** Removes the padding of long bodies. */
export function short(text: string): string {
  return text.replace(/\.{5,}/g, '…')
}
