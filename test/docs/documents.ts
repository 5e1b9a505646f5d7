import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export const root = join(import.meta.dirname, '..', '..')

/** Folders with generated files, and with the project that a test makes. */
const others = new Set(['node_modules', 'dist', '.git', '.packed', '.vitepress'])

/** All Markdown files of the repository, by their path in it. */
export const documents: readonly string[] = markdownIn('').toSorted()

function markdownIn(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`
    if (entry.isDirectory()) return others.has(entry.name) || path === 'docs/api' ? [] : markdownIn(path)
    return entry.isFile() && path.endsWith('.md') ? [path] : []
  })
}

export function textOf(document: string): string {
  return readFileSync(join(root, document), 'utf8')
}

export interface Block {
  readonly document: string
  /** The number of its first line of code. */
  readonly line: number
  readonly language: string
  readonly text: string
  /** `<!-- fragment -->` is on the line before it: it is not complete. */
  readonly isFragment: boolean
}

/** The code blocks of a document. */
export function blocksOf(document: string): Block[] {
  const text = textOf(document)
  const fences = text.matchAll(
    /(?<mark>^<!-- fragment -->\n+)?^(?<indent> *)```(?<language>\w*)\n(?<code>.*?)^ *```$/gms,
  )
  return [...fences].map(({ index, groups, 0: all }) => {
    const { mark, indent, language, code } = groups as Record<string, string>
    const before = text.slice(0, index + all.lastIndexOf(code!))
    return {
      document,
      line: before.split('\n').length,
      language: language!,
      text: code!.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
      isFragment: mark !== undefined,
    }
  })
}

/** The code blocks of all documents but the changelog, which is about the past. */
export const blocks: readonly Block[] = documents
  .filter((document) => document !== 'CHANGELOG.md')
  .flatMap(blocksOf)
