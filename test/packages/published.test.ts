import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core'
import { existsSync, readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { builtinModules } from 'node:module'
import { join, posix } from 'node:path'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import { describe, expect, it } from 'vitest'
import {
  packages,
  project,
  readManifest,
  root,
  urlOf,
  version as ofAll,
  type Manifest,
} from '../../release/packages.ts'
import { allPacked, packed } from './packed.ts'

describe.each(allPacked())('the tarball of $name', ({ folder, name, tarball, files, version }) => {
  const directory = join(packed, 'node_modules', name)
  const manifest = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as Manifest
  const paths = files.map(({ path }) => path)

  it('has no error or warning of publint', async () => {
    const { buffer } = new Uint8Array(await readFile(tarball))
    const { messages, pkg } = await publint({ pack: { tarball: buffer }, strict: true })
    const errors = messages.filter(({ type }) => type === 'error' || type === 'warning')
    expect(errors.map((message) => formatMessage(message, pkg))).toEqual([])
  })

  it('has the right types for every way to resolve them, as attw sees it', async () => {
    const analysis = await checkPackage(createPackageFromTarballData(await readFile(tarball)))
    // A program has no types, because nobody imports it.
    if (manifest['bin'] !== undefined) expect(analysis.types).toBe(false)
    else expect(analysis).toMatchObject({ types: { kind: 'included' }, problems: [] })
  })

  it('says what it is, whose, and where its sources and its issues are', () => {
    expect(manifest).toMatchObject({
      version,
      description: expect.stringMatching(/^.{30,120}[^.]$/),
      license: 'MIT',
      author: project.author,
      // npm refuses provenance if this is not the repository in which the tarball was made, letter by letter.
      repository: { type: 'git', url: `git+${project.repository}.git`, directory: folder },
      homepage: `${project.repository}/tree/main/${folder}#readme`,
      bugs: { url: `${project.repository}/issues` },
      publishConfig: { access: 'public', provenance: true },
    })
    const { keywords } = manifest as unknown as { keywords: string[] }
    expect(keywords.length).toBeGreaterThan(4)
    expect(new Set(keywords).size).toBe(keywords.length)
  })

  it('has a README, the license, and neither tests nor what only the repository uses', () => {
    expect(paths).toEqual(expect.arrayContaining(['README.md', 'LICENSE', 'package.json']))
    expect(readFileSync(join(directory, 'LICENSE'), 'utf8')).toBe(readFileSync(join(root, 'LICENSE'), 'utf8'))
    expect(paths.filter((path) => /\.tsbuildinfo$|tsconfig|node_modules/.test(path))).toEqual([])
    expect(manifest).not.toHaveProperty('devDependencies')
    expect(manifest).not.toHaveProperty('scripts')
  })

  it('has every file that its package.json names', () => {
    const named = stringsIn(manifest).filter((value) => value.startsWith('./'))
    expect(named.length).toBeGreaterThan(0)
    for (const path of named) expect(paths).toContain(path.slice(2))
  })

  it('says whether its modules have side effects, and which Node it needs if Node runs it', () => {
    if (manifest['bin'] === undefined) expect(manifest['sideEffects']).toBe(false)
    // The devtools are for pages only, so nobody is warned of an old Node that only builds the page.
    const engines = name === '@broadcaster/devtools' ? undefined : { node: '>=20.19' }
    expect(manifest['engines']).toEqual(engines)
  })

  it('depends on what its code imports, and on the other packages in its own version', () => {
    const { dependencies = {}, peerDependencies = {} } = manifest
    const known = [name, ...Object.keys(dependencies), ...Object.keys(peerDependencies)]
    for (const path of paths.filter((one) => /\.(js|d\.ts)$/.test(one) && !one.includes('templates/'))) {
      const code = readFileSync(join(directory, path), 'utf8').replaceAll(/\/\*[\s\S]*?\*\//g, '')
      const imports = code.matchAll(/\b(?:from |import |import\(|require\()["']([^."'][^"']*)["']/g)
      for (const [, specifier] of imports) {
        const parts = specifier!.split('/')
        const wanted = specifier!.startsWith('@') ? parts.slice(0, 2).join('/') : parts[0]!
        const isOfNode = builtinModules.includes(wanted.replace('node:', ''))
        // Types of `ws` are in declarations that the public ones do not import.
        if (!isOfNode && wanted !== 'ws') expect(known, `${path} imports ${specifier}`).toContain(wanted)
      }
    }
    const own = Object.entries({ ...dependencies, ...peerDependencies }).filter(([one]) =>
      one.startsWith('@broadcaster/'),
    )
    for (const [other, range] of own) expect(range, other).toBe(version)
  })

  it('has a README with links that work on npmjs.com', () => {
    const source = readFileSync(join(root, folder, 'README.md'), 'utf8')
    const readme = readFileSync(join(directory, 'README.md'), 'utf8')
    for (const target of linksIn(readme)) expect(target).toMatch(/^(https:\/\/|#)/)
    const targets = linksIn(source).filter((target) => !/^https?:/.test(target))
    for (const target of targets) {
      const [path, anchor] = target.split('#') as [string, string?]
      const file = path === '' ? `${folder}/README.md` : posix.join(folder, path)
      expect(existsSync(join(root, file)), `${target} exists`).toBe(true)
      if (anchor !== undefined) expect(anchorsOf(join(root, file)), file).toContain(anchor)
      if (path !== '') expect(readme).toContain(path.endsWith('.png') ? urlOf(file, 'raw') : urlOf(file))
    }
  })

  it('has a README whose addresses on CDNs have this version', () => {
    const readme = readFileSync(join(directory, 'README.md'), 'utf8')
    for (const [, found] of readme.matchAll(/@broadcaster\/\w+@([^/]+)\//g)) expect(found).toBe(version)
  })

  it('has a README that begins with its name, and shows how to install and to use it', () => {
    const readme = readFileSync(join(directory, 'README.md'), 'utf8')
    expect(readme).toMatch(new RegExp(`^# ${name}\\n`))
    expect(readme).toMatch(/```sh\nnpm (install|create) /)
    expect(readme.match(/^```(ts|tsx|js|html)$/m) ?? manifest['bin']).toBeTruthy()
  })
})

it('every package has the version of all', () => {
  expect(new Set(packages.map((folder) => readManifest(folder).version))).toEqual(new Set([ofAll]))
})

/** All strings that are values somewhere in the object, so no names of its fields. */
function stringsIn(value: unknown): string[] {
  if (typeof value === 'string') return [value]
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(stringsIn) : []
}

function linksIn(markdown: string): string[] {
  const text = markdown.replaceAll(/^```[\s\S]*?^```/gm, '').replaceAll(/`[^`\n]*`/g, '')
  const images = text.matchAll(/<(?:img|a)\s[^>]*(?:src|href)="([^"]+)"/g)
  return [...text.matchAll(/\]\(([^)\s]+)\)/g), ...images].map(([, target]) => target!)
}

/** The anchors that GitHub gives to the headings of a document. */
function anchorsOf(path: string): string[] {
  const headings = readFileSync(path, 'utf8').matchAll(/^#+ (.*)$/gm)
  return [...headings].map(([, heading]) =>
    heading!
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  )
}
