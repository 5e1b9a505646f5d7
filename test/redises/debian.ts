import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

/** A server of another release of Debian. It is unpacked beside the system, not installed. */
export type DebianServer = {
  /** As in the table of docs/redis.md. */
  readonly name: string
  readonly suite: string
  readonly package: string
  /** Whether a Cluster of it has sharded pub/sub. */
  readonly hasShardedPubSub: boolean
}

export const debianServers: readonly DebianServer[] = [
  { name: 'Redis 6.0', suite: 'bullseye', package: 'redis-server', hasShardedPubSub: false },
  { name: 'Redis 8.0', suite: 'trixie', package: 'redis-server', hasShardedPubSub: true },
  { name: 'Valkey 8.0', suite: 'bookworm-backports', package: 'valkey-server', hasShardedPubSub: true },
  { name: 'Valkey 8.1', suite: 'trixie', package: 'valkey-server', hasShardedPubSub: true },
  { name: 'Valkey 9', suite: 'sid', package: 'valkey-server', hasShardedPubSub: true },
  { name: 'Redict 7.3', suite: 'bookworm-backports', package: 'redict-server', hasShardedPubSub: true },
]

/** The packages without which no server starts. All others belong to the init system and to users. */
const NEEDED =
  /^(lib(?!pam|semanage|audit|perl|db5|sepol|krb|k5|gssapi|debconf|gdbm|tirpc|nsl|x?crypt)|zlib|lua-|redis|valkey|redict)/
/** The longest time for one command of apt. */
const PATIENCE_MS = 180_000

const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'broadcaster-tests')
const placeOf = ({ suite, package: name }: DebianServer): string => join(cache, `${suite}-${name}`)

/** The command that starts the server; `null` if it has not been unpacked. */
export function commandOf(server: DebianServer): readonly string[] | null {
  const root = join(placeOf(server), 'root')
  const program = join(root, 'usr', 'bin', server.package)
  if (!existsSync(program)) return null
  // The server of another release needs the C library of that release, and so also its loader.
  const libraries = ['lib', join('usr', 'lib')].map((dir) => join(root, dir, 'x86_64-linux-gnu'))
  const loader = libraries.map((dir) => join(dir, 'ld-linux-x86-64.so.2')).find((path) => existsSync(path))
  return loader === undefined ? null : [loader, '--library-path', libraries.join(':'), program]
}

/**
 * Gets the servers that are missing from the package mirror that this machine uses. Nothing is installed, and no rights are
 * needed. If it is not possible, the reason is printed, and the tests are skipped.
 */
export function unpackServers(): void {
  const missing = debianServers.filter((server) => commandOf(server) === null)
  const part = `${cache}.${process.pid}`
  /** The suites whose lists of packages have been downloaded. */
  const listed = new Set<string>()
  for (const server of missing) {
    const [place, dir] = [placeOf(server), join(part, server.name)]
    try {
      unpack(server, dir, join(part, 'lists'), listed)
      mkdirSync(cache, { recursive: true })
      rmSync(place, { recursive: true, force: true })
      renameSync(dir, place)
    } catch (error) {
      console.log(`There is no ${server.name} for the tests: ${(error as Error).message}`)
    }
  }
  rmSync(part, { recursive: true, force: true })
}

function unpack(
  { name, suite, package: server }: DebianServer,
  dir: string,
  lists: string,
  listed: Set<string>,
): void {
  const mirror = findMirror()
  console.log(`Getting ${name} for the tests`)
  const [archives, root] = [join(dir, 'archives'), join(dir, 'root')]
  for (const path of [join(lists, 'partial'), join(archives, 'partial'), root])
    mkdirSync(path, { recursive: true })
  const suites = new Set([suite, suite.replace(/-backports$/, '')])
  const sources = [...suites].map(
    (each) => `deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ${mirror} ${each} main\n`,
  )
  writeFileSync(join(dir, 'sources.list'), sources.join(''))
  // apt believes that nothing is installed, so it names every package that is needed.
  writeFileSync(join(dir, 'status'), '')
  const settings = [
    `Dir::Etc::SourceList=${join(dir, 'sources.list')}`,
    'Dir::Etc::SourceParts=/dev/null',
    `Dir::State::Lists=${lists}`,
    `Dir::State::status=${join(dir, 'status')}`,
    `Dir::Cache::archives=${archives}`,
    'Dir::Cache::pkgcache=',
    'Dir::Cache::srcpkgcache=',
    'APT::Get::List-Cleanup=false',
    'APT::Sandbox::User=root',
    'Acquire::Languages=none',
    'Acquire::http::Timeout=20',
  ].flatMap((setting) => ['-o', setting])
  const apt = (...args: readonly string[]) => run('apt-get', [...settings, '-qq', ...args], archives)
  if (!listed.has(suite)) apt('update')
  listed.add(suite)
  const plan = apt('--print-uris', '--no-install-recommends', '-t', suite, 'install', server)
  const packages = [...plan.matchAll(/^'\S+' ([^_\s]+)_/gm)].map(([, each]) => each!)
  apt('-t', suite, 'download', ...packages.filter((each) => NEEDED.test(each)))
  for (const file of readdirSync(archives).filter((each) => each.endsWith('.deb')))
    run('dpkg-deb', ['-x', file, root], archives)
  rmSync(archives, { recursive: true })
}

/** The address from which this machine gets packages of Debian. */
function findMirror(): string {
  if (process.arch !== 'x64') throw new Error('the machine is not x64')
  const format = '$(ORIGIN) $(REPO_URI) $(RELEASE)'
  const lines = run('apt-get', ['indextargets', '--format', format, 'Created-By: Packages'], '/').split('\n')
  const main = lines
    .map((line) => line.split(' '))
    .find(([origin, , release]) => origin === 'Debian' && !release!.includes('-'))
  if (main === undefined) throw new Error('the machine has no package mirror of Debian')
  return main[1]!
}

function run(file: string, args: readonly string[], cwd: string): string {
  const { status, stdout, stderr, error } = spawnSync(file, args, {
    cwd,
    encoding: 'utf8',
    timeout: PATIENCE_MS,
    maxBuffer: 64 * 1024 * 1024,
  })
  if (error !== undefined || status !== 0)
    throw new Error(`${file} failed: ${error?.message ?? stderr.trim().split('\n').at(-1)}`)
  return stdout
}
