import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** A line of a recording. */
export type Line = {
  readonly t: number
  readonly dir: 'client>server' | 'server>client' | 'publisher'
  readonly transport?: 'ws' | 'http'
  readonly server?: string
  readonly conn?: number
  readonly id?: number
  readonly event?: string
  readonly path?: string
  readonly body?: string
  readonly bodyBase64?: string
  readonly status?: number
  readonly code?: number
  readonly reason?: string
  readonly channel?: string
}

export type Transcript = { readonly name: string; readonly title: string; readonly lines: readonly Line[] }

export function readTranscripts(): Transcript[] {
  const dir = join(import.meta.dirname, 'transcripts')
  return readdirSync(dir)
    .filter((file) => file.endsWith('.jsonl'))
    .sort()
    .map((file) => {
      const text = readFileSync(join(dir, file), 'utf8')
      const [head, ...lines] = text
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as unknown)
      const { scenario, title } = head as { scenario: string; title: string }
      return { name: scenario, title, lines: lines as Line[] }
    })
}
