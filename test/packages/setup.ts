import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { build, pack } from '../../release/pack.ts'
import { packed, packedList, tarballs } from './packed.ts'

/**
 * Builds and packs every package, and unpacks the tarballs like `npm install`, with the applications beside them. All other dependencies are resolved
 * from the `node_modules` of the repository, without a registry.
 */
export default function setup(): () => void {
  rmSync(packed, { recursive: true, force: true })
  build()
  const list = pack(tarballs)
  writeFileSync(packedList, JSON.stringify(list))
  for (const { name, tarball } of list) {
    const target = join(packed, 'node_modules', name)
    mkdirSync(target, { recursive: true })
    execFileSync('tar', ['-xzf', tarball, '--strip-components=1', '-C', target])
  }
  cpSync(join(import.meta.dirname, 'apps'), packed, { recursive: true })
  cpSync(join(import.meta.dirname, '..', '..', 'examples'), join(packed, 'examples'), { recursive: true })
  cpSync(join(packed, 'legacy'), join(packed, 'node_modules', 'legacy-library'), { recursive: true })
  return () => rmSync(packed, { recursive: true, force: true })
}
