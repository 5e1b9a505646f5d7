import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { pack } from '../support/pack.ts'
import { packed, tarballs } from './packed.ts'

/**
 * Builds and packs every package, and unpacks the tarballs like `npm install`, with the applications beside them. All other dependencies are resolved
 * from the `node_modules` of the repository, without a registry.
 */
export default async function setup(): Promise<() => void> {
  rmSync(packed, { recursive: true, force: true })
  for (const [name, tarball] of Object.entries(await pack(tarballs))) {
    const target = join(packed, 'node_modules', '@broadcaster', name)
    mkdirSync(target, { recursive: true })
    const { status, stderr } = spawnSync('tar', ['-xzf', tarball, '--strip-components=1', '-C', target])
    if (status !== 0) throw new Error(`tar could not unpack ${tarball}: ${stderr}`)
  }
  cpSync(join(import.meta.dirname, 'apps'), packed, { recursive: true })
  cpSync(join(import.meta.dirname, '..', '..', 'examples'), join(packed, 'examples'), { recursive: true })
  cpSync(join(packed, 'legacy'), join(packed, 'node_modules', 'legacy-library'), { recursive: true })
  return () => rmSync(packed, { recursive: true, force: true })
}
