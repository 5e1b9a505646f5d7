import { BroadcasterError, closed } from '../errors.ts'
import { describe } from '../input/json.ts'
import { METRICS, type MetricSource } from './reading.ts'

/**
 * The source of metrics of a broadcaster that is given to an exporter.
 *
 * @throws {BroadcasterError} `invalidOption`; `closed`
 */
export function sourceOf(exporter: string, live: unknown): MetricSource {
  const source = (live as { readonly [METRICS]?: MetricSource } | null | undefined)?.[METRICS]
  if (source === undefined) {
    const text = `${exporter}(): expected what broadcaster() returns, got ${describe(live)}`
    throw new BroadcasterError('invalidOption', text)
  }
  if (source.isClosed) throw closed()
  return source
}

interface Exported {
  readonly source: MetricSource
  readonly stop: () => void
}

/** The broadcasters that are exported to one place, by their names. */
export class Sources {
  readonly #exporter: string
  readonly #byName = new Map<string, Exported>()

  constructor(exporter: string) {
    this.#exporter = exporter
  }

  get size(): number {
    return this.#byName.size
  }

  *[Symbol.iterator](): Generator<[name: string, source: MetricSource]> {
    for (const [name, { source }] of this.#byName) yield [name, source]
  }

  /**
   * Adds a broadcaster until it is closed. Returns the function that removes it, also if it is there already.
   *
   * @param begin Begins the export. Returns the function that ends it.
   * @throws {BroadcasterError} `invalidOption`
   */
  add(name: string, source: MetricSource, begin: () => () => void): () => void {
    for (const [other, known] of this.#byName) {
      if (other === name && known.source === source) return known.stop
      if (other === name) throw this.#invalid(`another broadcaster ${asName(name)}: give each one its own`)
      if (known.source === source)
        throw this.#invalid(`the broadcaster is exported already; it ${asName(other)}`)
    }
    const end = begin()
    const stop = () => {
      if (this.#byName.get(name) !== added) return
      this.#byName.delete(name)
      forget()
      end()
    }
    const forget = source.onClose(stop)
    const added = { source, stop }
    this.#byName.set(name, added)
    return stop
  }

  #invalid(text: string): BroadcasterError {
    return new BroadcasterError('invalidOption', `${this.#exporter}(): ${text}`)
  }
}

function asName(name: string): string {
  return name === '' ? 'has no name' : `has the name ${JSON.stringify(name)}`
}

/** The label that keeps several broadcasters of a process apart. A single one needs no name. */
export function nameLabel(name: string): Record<string, string> {
  return name === '' ? {} : { broadcaster: name }
}

/** @throws {BroadcasterError} `invalidOption` */
export function readName(exporter: string, name: unknown): string {
  if (name === undefined) return ''
  if (typeof name === 'string' && name !== '') return name
  throw invalidArgument(exporter, 'name', 'a string that is not empty', name)
}

export function invalidArgument(
  exporter: string,
  option: string,
  expected: string,
  got: unknown,
): BroadcasterError {
  const text = `${exporter}(): ${option}: expected ${expected}, got ${describe(got)}`
  return new BroadcasterError('invalidOption', text)
}
