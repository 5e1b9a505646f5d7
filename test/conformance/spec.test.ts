import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { closeCodes, reasons, shouldRetry } from '@broadcaster/protocol'
import { describe, expect, it } from 'vitest'

const testDir = join(import.meta.dirname, '..')
const spec = await readFile(join(testDir, '..', 'protocol', 'PROTOCOL.md'), 'utf8')

describe('PROTOCOL.md', () => {
  it('has a test for every rule, which names it', async () => {
    const rules = [...spec.matchAll(/^- \*\*([A-Z]\d+)\*\*/gm)].map(([, id]) => id!)
    expect(rules.length).toBeGreaterThan(40)
    expect(new Set(rules).size, 'no number is given twice').toBe(rules.length)
    const named = await ruleNamesInTests()
    expect(rules.filter((id) => !named.has(id))).toEqual([])
    expect(
      [...named].filter((id) => !rules.includes(id)),
      'tests name only rules that exist',
    ).toEqual([])
  })

  it('has the close codes of protocol/src/codes.ts', () => {
    const section = spec.slice(spec.indexOf('## Close codes'))
    const rows = [...section.matchAll(/^\| (\d{4}) +\| (\w+) +\| (.*?) +\| (yes|no) +\|$/gm)]
    const table = rows.map(([, code, name, reason, retry]) => ({
      name,
      code: Number(code),
      reason,
      retry: retry === 'yes',
    }))
    expect(table).toEqual(Object.entries(closeCodes).map(([name, row]) => ({ name, ...row })))
  })

  it('C1: makes clients reconnect after every code that is not in the table', () => {
    for (const code of [1000, 1005, 1006, 1008, 3000, 4000, 4999]) expect(shouldRetry(code)).toBe(true)
    for (const { code, retry } of Object.values(closeCodes)) expect(shouldRetry(code)).toBe(retry)
  })

  it('contains the reasons that servers and clients share', () => {
    const wanted = [
      reasons.authExpected,
      reasons.authTooLarge,
      reasons.channelExpected,
      reasons.channelRefused,
    ]
    for (const reason of [...wanted, reasons.channelTooLong, reasons.tooManyChannels, reasons.unauthorized]) {
      expect(spec).toContain(`"${reason}"`)
    }
  })
})

/** The ids of rules at the beginning of titles such as `it('S2: ...')`, `it('R2, R3: ...')` and `describe('C2 ...')`. */
async function ruleNamesInTests(): Promise<Set<string>> {
  const names = new Set<string>()
  for (const file of await readdir(testDir, { recursive: true })) {
    if (file.includes('node_modules') || !/\.tsx?$/.test(file)) continue
    const text = await readFile(join(testDir, file), 'utf8')
    for (const [, ids] of text.matchAll(/(?:['"`])((?:[VWLASHUPMRC]\d+(?:, )?)+)[: ]/g)) {
      for (const id of ids!.split(', ')) names.add(id)
    }
  }
  return names
}
