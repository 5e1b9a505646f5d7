import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { packages, project, readManifest, root, urlOf, version, type Manifest } from './packages.ts'
import { withAbsoluteLinks } from './readme.ts'

/**
 * Puts everything that is published of a package into the directory. The facts that all packages share (repository, license, author,
 * version of each other) stand once in this repository, and in each tarball.
 */
export function stage(folder: string, directory: string): void {
  mkdirSync(directory, { recursive: true })
  const manifest = readManifest(folder)
  for (const file of manifest.files ?? []) {
    const from = join(root, folder, file)
    if (!existsSync(from)) throw new Error(`${folder}/${file} is missing: has the package been built?`)
    cpSync(from, join(directory, file), { recursive: true })
  }
  cpSync(join(root, 'LICENSE'), join(directory, 'LICENSE'))
  const readme = readFileSync(join(root, folder, 'README.md'), 'utf8')
  writeFileSync(join(directory, 'README.md'), withAbsoluteLinks(readme, folder, urlOf))
  writeFileSync(join(directory, 'package.json'), `${JSON.stringify(published(manifest, folder), null, 2)}\n`)
}

/** What users get to see of a `package.json`. */
function published(manifest: Manifest, folder: string): Manifest {
  const {
    name,
    version: _,
    description,
    keywords,
    scripts: __,
    devDependencies: ___,
    peerDependencies,
    ...others
  } = manifest
  return {
    name,
    version,
    description,
    keywords,
    license: project.license,
    author: project.author,
    homepage: `${project.repository}/tree/main/${folder}#readme`,
    repository: { type: 'git', url: `git+${project.repository}.git`, directory: folder },
    bugs: { url: `${project.repository}/issues` },
    ...others,
    ...(peerDependencies && { peerDependencies: withOwnVersions(peerDependencies) }),
    publishConfig: { access: 'public', provenance: true },
  }
}

/**
 * A package works with the others of its own version. In the sources the range of such a peer is `*`: with a version, Changesets
 * would take each release for a breaking change of the package.
 */
function withOwnVersions(ranges: Readonly<Record<string, string>>): Record<string, string> {
  const names = packages.map((folder) => readManifest(folder).name)
  return Object.fromEntries(
    Object.entries(ranges).map(([name, range]) => [name, names.includes(name) ? version : range]),
  )
}
