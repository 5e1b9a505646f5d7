import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { defaultLimits } from '../../server/src/limits.ts'
import { startServer } from '../support/server.ts'
import { tidy } from '../support/tidy.ts'

const page = await readFile(join(import.meta.dirname, '../../docs/server.md'), 'utf8')
const table = page.slice(page.indexOf('| limit '), page.indexOf('### Addresses'))
const rows = [...table.matchAll(/^\| `(\w+)` +\|(.*?)\|(.*?)\|(.*?)\|(.*?)\|$/gm)].map(
  ([, name, , value, , metrics]) => ({ name: name!, value: value!, metrics: metrics! }),
)

const BYTES = { KiB: 1024, MiB: 1024 * 1024 }

/** `256 KiB` and `1 000`. */
function numberOf(value: string): number {
  const [, digits, unit] = /^ *([\d ]+?) *(KiB|MiB)?(?:;.*)?$/.exec(value.trim())!
  return Number(digits!.replaceAll(' ', '')) * (unit === undefined ? 1 : BYTES[unit as keyof typeof BYTES])
}

describe('The limits in docs/server.md', () => {
  it('are complete', () => {
    expect(rows.map(({ name }) => name).sort()).toEqual(Object.keys(defaultLimits).sort())
  })

  it.each(rows.filter(({ name }) => name !== 'unauthenticated'))(
    '$name has the default of the code',
    ({ name, value }) => {
      expect(numberOf(value)).toBe(defaultLimits[name as keyof typeof defaultLimits])
    },
  )

  it('have metrics, which stats() contains', async () => {
    const server = tidy(await startServer())
    const { node } = await server.broadcaster.stats()
    for (const { name, metrics } of rows) {
      const named = metrics.match(/`[^`]+`/g) ?? []
      expect(named, name).not.toEqual([])
      for (const metric of named) expect(node).toHaveProperty(metric.slice(1, -1), expect.any(Number))
    }
  })
})
