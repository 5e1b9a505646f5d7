const unreleased = '## Unreleased\n'

/** The changelog with the texts of changesets and what was unreleased under the heading of the version. */
export function withRelease(changelog: string, version: string, texts: readonly string[]): string {
  const { before, section, after } = split(changelog)
  const lines = texts.map((text) => asLine(text)).join('')
  const all = [section, lines].filter((part) => part !== '').join('\n')
  if (all === '') throw new Error(`The changelog would have nothing about ${version}`)
  return `${before}${unreleased}\n## ${version}\n\n${all}\n${after}`
}

/** Whether the changelog has something under the heading of the version. */
export function tellsOf(changelog: string, version: string): boolean {
  const [, text = ''] = changelog.split(`\n## ${version}\n`)
  return text.split('\n## ')[0]!.trim() !== ''
}

function split(changelog: string): { before: string; section: string; after: string } {
  const [before, rest] = changelog.split(unreleased) as [string, string?]
  if (rest === undefined) throw new Error('CHANGELOG.md has no heading "Unreleased"')
  const next = rest.search(/^## /m)
  const section = (next === -1 ? rest : rest.slice(0, next)).trim()
  return { before, section: section === '' ? '' : `${section}\n`, after: next === -1 ? '' : rest.slice(next) }
}

/** A line of the list. What a text has after its first line belongs to it. */
function asLine(text: string): string {
  const [first, ...rest] = text.trim().split('\n')
  return [`- ${first}`, ...rest.map((line) => (line === '' ? '' : `  ${line}`))].join('\n') + '\n'
}
