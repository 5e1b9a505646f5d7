import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { defaultLimits } from '../../server/src/limits.ts'
import { startServer } from '../support/server.ts'
import { tidy } from '../support/tidy.ts'

const readme = await readFile(join(import.meta.dirname, '..', '..', 'README.md'), 'utf8')
const table = readme.slice(readme.indexOf('| limit '), readme.indexOf('**Addresses.**'))
const rows = [...table.matchAll(/^\| `(\w+)` +\|(.*?)\|(.*?)\|(.*?)\|(.*?)\|$/gm)].map(
  ([, name, , value, , metrics]) => ({ name: name!, value: value!, metrics: metrics! }),
)

const BYTES = { KiB: 1024, MiB: 1024 * 1024 }

/** `256 KiB` and `1 000`. */
function numberOf(value: string): number {
  const [, digits, unit] = /^ *([\d ]+?) *(KiB|MiB)?(?:;.*)?$/.exec(value.trim())!
  return Number(digits!.replaceAll(' ', '')) * (unit === undefined ? 1 : BYTES[unit as keyof typeof BYTES])
}

describe('The limits in the README', () => {
  it('are complete', () => {
    expect(rows.map(({ name }) => name).sort()).toEqual(Object.keys(defaultLimits).sort())
  })

  it.each(rows.filter(({ name }) => name !== 'unauthenticated'))(
    '$name has the default of the code',
    ({ name, value }) => {
      expect(numberOf(value)).toBe(defaultLimits[name as keyof typeof defaultLimits])
    },
  )

  it('contains only metrics that stats() has', async () => {
    const server = tidy(await startServer())
    const { node } = await server.broadcaster.stats()
    const metrics = rows
      .flatMap((row) => row.metrics.match(/`[^`]+`/g) ?? [])
      .map((name) => name.slice(1, -1))
    expect(metrics.length).toBeGreaterThan(10)
    for (const metric of new Set(metrics)) expect(node).toHaveProperty(metric, expect.any(Number))
  })
})
