import { execFileSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { tellsOf, withRelease } from '../../release/changelog.ts'
import { packages, project, readManifest, root, version } from '../../release/packages.ts'
import { onlyFull } from '../support/extent.ts'
import { tidy } from '../support/tidy.ts'
import { allPacked, type Ended } from './packed.ts'
import { runInTerminal } from './terminal.ts'

/** A copy of the repository with a history of its own. Its node_modules are those of the repository. */
const copy = realpathSync(mkdtempSync(join(tmpdir(), 'broadcaster-copy-')))
tidy({ stop: () => rmSync(copy, { recursive: true, force: true }) })

beforeAll(() => {
  const listed = execFileSync('git', ['ls-files', '-co', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
  })
  const files = listed
    .trim()
    .split('\n')
    .filter((file) => existsSync(join(root, file)))
  for (const file of files) {
    mkdirSync(join(copy, dirname(file)), { recursive: true })
    cpSync(join(root, file), join(copy, file))
  }
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'))
  for (const file of files.filter((one) => /^\.changeset\/.*\.md$/.test(one))) rmSync(join(copy, file))
  writeFileSync(join(copy, '.gitignore'), `${textIn('.gitignore')}/node_modules\n`)
  git('init', '--quiet', '--initial-branch', 'main')
  commit('A copy')
})

const textIn = (file: string) => readFileSync(join(copy, file), 'utf8')
const git = (...args: string[]) => execFileSync('git', args, { cwd: copy, encoding: 'utf8' })

function commit(message: string): void {
  git('add', '--all')
  git('-c', 'user.name=test', '-c', 'user.email=test@localhost', 'commit', '--quiet', '-m', message)
}

/** Runs a script of the copy, where no registry can be reached. */
function run(script: string, args: readonly string[] = [], env: Record<string, string> = {}): Promise<Ended> {
  const file = `release/${script}.ts`
  const offline = { npm_config_registry: 'http://127.0.0.1:1', ...env }
  return runInTerminal(copy, process.execPath, ['--import', 'tsx', file, ...args], offline)
}

describe('npm run release', () => {
  it('publishes nothing while something forbids it, and says what', async () => {
    writeFileSync(join(copy, 'forgotten.txt'), '')
    writeFileSync(join(copy, '.changeset/waits.md'), '---\n"@broadcaster/client": patch\n---\n\nA text\n')
    const there = { GITHUB_SERVER_URL: 'https://github.com', GITHUB_REPOSITORY: 'somebody/fork' }
    const { code, output } = await run('main', [], there)
    rmSync(join(copy, 'forgotten.txt'))
    rmSync(join(copy, '.changeset/waits.md'))
    expect(code).toBe(1)
    for (const problem of [
      'not committed',
      `no tag v${version}`,
      'Changesets wait (waits.md)',
      `${project.repository}, which package.json names, and this is https://github.com/somebody/fork`,
    ])
      expect(output).toContain(problem)
  })

  it(
    'shows with --dry-run what would be published, without the network and a change of the tree',
    onlyFull,
    async () => {
      const { code, output } = await run('main', ['--dry-run'])
      expect(code, output).toBe(0)
      for (const { name, files } of allPacked()) {
        expect(output).toMatch(new RegExp(`^${name} ${version}: ${files.length} files, [\\d.]+ kB`, 'm'))
        for (const { path } of files) expect(output).toContain(`  ${path}\n`)
      }
      expect(output).toContain(`${packages.length} packages, `)
      expect(output).toContain('Before this can be published:')
      expect(git('status', '--porcelain')).toBe('')
    },
  )
})

describe('npm run bump', () => {
  it('gives all packages the next version, and the changelog the texts of the changesets', async () => {
    const texts = [
      'The client reconnects faster.\n\nIt waits for nothing.',
      'A new option of the server: `speed`.',
    ]
    writeFileSync(join(copy, '.changeset/one.md'), `---\n'@broadcaster/client': patch\n---\n\n${texts[0]}\n`)
    writeFileSync(join(copy, '.changeset/two.md'), `---\n'@broadcaster/react': minor\n---\n\n${texts[1]}\n`)
    const { code, output } = await run('bump')
    expect(code, output).toBe(0)

    const [major, minor] = version.split('.').map(Number)
    // A minor release of the hooks is none of the packages that have them as a peer, which would be 1.0.0 otherwise.
    const next = `${major}.${minor! + 1}.0`
    const manifests = packages.map((folder) => JSON.parse(textIn(`${folder}/package.json`)))
    expect(new Set(manifests.map((manifest) => manifest.version))).toEqual(new Set([next]))
    for (const { name, dependencies = {}, peerDependencies = {} } of manifests) {
      for (const [other, range] of Object.entries({ ...dependencies, ...peerDependencies }))
        if (other.startsWith('@broadcaster/')) expect([next, '*'], `${name} needs ${other}`).toContain(range)
    }
    const changelog = textIn('CHANGELOG.md')
    expect(changelog).toContain(`## Unreleased\n\n## ${next}\n\n`)
    expect(changelog).toContain(
      '- The client reconnects faster.\n\n  It waits for nothing.\n- A new option of the server: `speed`.\n',
    )
    expect(changelog.match(/^## 0\.1\.0$/gm)).toHaveLength(1)
    expect(textIn('client/README.md')).toContain(`@broadcaster/client@${next}/`)
    expect(textIn('README.md')).toMatch(new RegExp(`\\| @broadcaster/react and client +\\| ${next} +\\|`))
    expect(textIn('examples/vite/package.json')).toContain(`"@broadcaster/react": "^${next}"`)
    expect(textIn('package-lock.json')).toContain(`"version": "${next}"`)
    expect(git('status', '--porcelain')).not.toMatch(/changeset|CHANGELOG\.md.*\/|\?\?/)
    git('checkout', '--quiet', '--', '.')
  })
})

describe('the changelog of a release', () => {
  const before = '# Changelog\n\n## Unreleased\n\n- By hand\n\n## 0.1.0\n\nThe first.\n'

  it('has what was unreleased, then the texts', () => {
    const text = withRelease(before, '0.2.0', ['One\n\nmore', 'Two'])
    expect(text).toBe(
      '# Changelog\n\n## Unreleased\n\n## 0.2.0\n\n- By hand\n\n- One\n\n  more\n- Two\n\n## 0.1.0\n\nThe first.\n',
    )
    expect([tellsOf(text, '0.2.0'), tellsOf(text, '0.3.0')]).toEqual([true, false])
  })

  it('is not empty', () => {
    const empty = '# Changelog\n\n## Unreleased\n\n## 0.1.0\n\nThe first.\n'
    expect(() => withRelease(empty, '0.2.0', [])).toThrow('nothing about 0.2.0')
    expect(withRelease(empty, '0.2.0', ['One'])).toContain('## 0.2.0\n\n- One\n\n## 0.1.0')
    expect(tellsOf('## Unreleased\n\n## 0.2.0\n\n## 0.1.0\n\nThe first.\n', '0.2.0')).toBe(false)
  })
})

describe('the workflow of the release', () => {
  const workflow = parse(readFileSync(join(root, '.github/workflows/release.yml'), 'utf8'))
  const { permissions, steps } = workflow.jobs.release

  it('has the rights for provenance, and no others', () => {
    expect(workflow.permissions).toEqual({})
    expect(permissions).toEqual({ contents: 'read', 'id-token': 'write' })
  })

  it('pins each action to a commit, and names its version', () => {
    const text = readFileSync(join(root, '.github/workflows/release.yml'), 'utf8')
    const uses = text.match(/uses: .*/g)!
    expect(uses.length).toBeGreaterThan(1)
    for (const use of uses) expect(use).toMatch(/^uses: [\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/)
  })

  // actions/setup-node#1440: npm gets a token that is none, and answers 404.
  it('leaves it to npm to trust the workflow', () => {
    const setup = steps.find(({ uses }: { uses?: string }) => uses?.startsWith('actions/setup-node@'))
    expect(setup.with).toEqual({ 'node-version': 24 })
  })

  it('runs scripts that exist', () => {
    const commands = (steps as { run?: string }[]).flatMap(({ run: command }) => command ?? [])
    expect(commands.at(-1)).toBe('npm run release')
    expect(readManifest('.').scripts).toHaveProperty('release')
  })
})
