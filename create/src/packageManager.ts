export interface PackageManager {
  readonly install: string
  readonly run: (script: string) => string
}

/** The commands of the package manager that has started this program, which says so in the environment: `pnpm/10.2.0 npm/? node/...`. */
export function packageManager(userAgent = ''): PackageManager {
  const [name = ''] = userAgent.split('/')
  if (name === 'pnpm' || name === 'yarn')
    return { install: `${name} install`, run: (script) => `${name} ${script}` }
  // `bun test` would be the runner of Bun.
  if (name === 'bun') return { install: 'bun install', run: (script) => `bun run ${script}` }
  return {
    install: 'npm install',
    run: (script) => (script === 'test' || script === 'start' ? `npm ${script}` : `npm run ${script}`),
  }
}
