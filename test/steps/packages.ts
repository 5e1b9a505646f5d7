import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pack } from '../support/pack.ts'
import { command, sum, type Counts, type Output } from './command.ts'
import { vitest } from './vitest.ts'

/** Builds and packs every package, checks the result with the tools of users, and uses it in applications. */
export async function packages(output: Output): Promise<Counts> {
  const dir = await mkdtemp(join(tmpdir(), 'broadcaster-pack-'))
  try {
    const all: Counts[] = []
    for (const tarball of Object.values(await pack(dir))) {
      all.push(await command(output, 'npx', ['publint', tarball, '--strict']))
      all.push(await command(output, 'npx', ['attw', tarball]))
    }
    all.push(await vitest(output, ['packages'], { BROADCASTER_TARBALLS: dir }))
    return sum(all)
  } catch (error) {
    output.write(`${error instanceof Error ? error.message : String(error)}\n`)
    return { passed: 0, failed: 1 }
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}
