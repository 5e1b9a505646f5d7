import { posix } from 'node:path'

/**
 * A README whose links work outside of the repository, for instance on npmjs.com. In the repository its links are relative, so that they
 * follow the branch, and work without a network.
 */
export function withAbsoluteLinks(
  readme: string,
  folder: string,
  urlOf: (path: string, kind: 'blob' | 'raw') => string,
): string {
  return readme.replaceAll(
    /(?<before>(?<image>!?)\[[^\]]*\]\()(?<target>[^)\s]+)\)/g,
    (link, before: string, image: string, target: string) =>
      isRelative(target)
        ? `${before}${urlOf(posix.join(folder, target), image === '' ? 'blob' : 'raw')})`
        : link,
  )
}

function isRelative(target: string): boolean {
  return !target.startsWith('#') && !/^[a-z]+:/.test(target)
}
