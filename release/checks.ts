import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { tellsOf } from './changelog.ts'
import { project, root, version } from './packages.ts'

/** What forbids a release now, in words. */
export function problems(env: Readonly<Record<string, string | undefined>> = process.env): string[] {
  return [
    git('status', '--porcelain') !== '' && 'The tree has changes that are not committed.',
    !git('tag', '--points-at', 'HEAD').split('\n').includes(`v${version}`) &&
      `The commit has no tag v${version}, to which the READMEs of the packages link.`,
    changesets().length > 0 && `Changesets wait (${changesets().join(', ')}): npm run bump.`,
    !tellsOf(readFileSync(join(root, 'CHANGELOG.md'), 'utf8'), version) &&
      `CHANGELOG.md says nothing about ${version}.`,
    repositoryOf(env) !== project.repository &&
      `Provenance needs GitHub Actions in ${project.repository}, which package.json names, and this is ${repositoryOf(env) ?? 'not there'}.`,
  ].filter((problem) => problem !== false)
}

/** npm compares it with `repository` of each package, letter by letter. */
function repositoryOf(env: Readonly<Record<string, string | undefined>>): string | undefined {
  const { GITHUB_SERVER_URL: server, GITHUB_REPOSITORY: repository } = env
  return server === undefined || repository === undefined ? undefined : `${server}/${repository}`
}

function changesets(): string[] {
  return readdirSync(join(root, '.changeset')).filter((file) => file.endsWith('.md') && file !== 'README.md')
}

function git(...args: readonly string[]): string {
  return execFileSync('git', args, { cwd: root, encoding: 'utf8' }).trim()
}
