/** The pages of the site. Paths are relative to the repository. */

export interface Group {
  readonly text: string
  readonly pages: readonly (readonly [title: string, path: string])[]
}

/** The sidebar. */
export const groups: readonly Group[] = [
  {
    text: 'Start',
    pages: [
      ['Why, and why not', 'docs/why.md'],
      ['Quick start', 'docs/quick-start.md'],
      ['A new project', 'create/README.md'],
      ['The demo', 'demo/README.md'],
      ['Concepts', 'docs/concepts.md'],
      ['Questions', 'docs/faq.md'],
    ],
  },
  {
    text: 'Build',
    pages: [
      ['Server', 'docs/server.md'],
      ['React', 'docs/react.md'],
      ['Client without React', 'client/README.md'],
      ['Publishing', 'docs/publishing.md'],
      ['Auth and sessions', 'docs/auth.md'],
      ['Tokens', 'docs/tokens.md'],
      ['Recovery and gaps', 'docs/recovery.md'],
      ['Typed channels', 'docs/typed-channels.md'],
      ['Testing', 'testing/README.md'],
      ['Devtools', 'devtools/README.md'],
    ],
  },
  {
    text: 'Operate',
    pages: [
      ['Deployment', 'docs/deployment.md'],
      ['Proxies', 'docs/proxies.md'],
      ['Every kind of Redis', 'docs/redis.md'],
      ['Scaling', 'docs/scaling.md'],
      ['Monitoring', 'docs/monitoring.md'],
      ['Security', 'docs/security.md'],
      ['Troubleshooting', 'docs/troubleshooting.md'],
    ],
  },
  {
    text: 'Move here',
    pages: [
      ['From the original', 'docs/migration.md'],
      ['From node-broadcast-hub', 'docs/migration/node-broadcast-hub.md'],
      ['From Socket.IO', 'docs/migration/socket-io.md'],
      ['From Pusher or Laravel Echo', 'docs/migration/pusher.md'],
      ['From express-ws', 'docs/migration/express-ws.md'],
      ['From server-sent events', 'docs/migration/sse.md'],
    ],
  },
  {
    text: 'Compare',
    pages: [
      ['Comparison', 'docs/comparison.md'],
      ['Benchmarks', 'bench/README.md'],
    ],
  },
  {
    text: 'Reference',
    pages: [
      ['Protocol', 'protocol/PROTOCOL.md'],
      ['Errors of the client', 'client/ERRORS.md'],
      ['Changelog', 'CHANGELOG.md'],
    ],
  },
]

/** They are made from the comments in the sources, see `typedoc.config.js`. */
export const apiPages: Group['pages'] = [
  ['server', 'docs/api/server/src.md'],
  ['server/prometheus', 'docs/api/server/src/prometheus.md'],
  ['server/opentelemetry', 'docs/api/server/src/opentelemetry.md'],
  ['client', 'docs/api/client/src.md'],
  ['react', 'docs/api/react/src.md'],
  ['channels', 'docs/api/channels/src.md'],
  ['testing', 'docs/api/testing/src.md'],
  ['devtools', 'docs/api/devtools/src.md'],
  ['protocol', 'docs/api/protocol/src.md'],
]

const home = 'docs/index.md'

/** Pages whose text is beside the code that it describes. The site has them under these names. */
const renamed: Readonly<Record<string, string>> = {
  'client/README.md': 'client.md',
  'client/ERRORS.md': 'errors.md',
  'testing/README.md': 'testing.md',
  'create/README.md': 'create.md',
  'demo/README.md': 'demo.md',
  'devtools/README.md': 'devtools.md',
  'bench/README.md': 'benchmarks.md',
  'protocol/PROTOCOL.md': 'protocol.md',
  'CHANGELOG.md': 'changelog.md',
}

/** All pages that are in the repository. */
export const pages: readonly string[] = [
  home,
  ...groups.flatMap((group) => group.pages.map(([, path]) => path)),
]

/** The path of a page in the site: `docs/why.md` is `why.md`. `undefined` if the site does not have the file. */
export function sitePathOf(path: string): string | undefined {
  if (path.startsWith('docs/api/')) return path.slice('docs/'.length).replace('/src', '')
  if (!pages.includes(path)) return undefined
  return renamed[path] ?? path.slice('docs/'.length)
}
