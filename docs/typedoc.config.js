/** The API reference, from the comments in the sources: a page for each entry point, in the folder `api`, which git ignores. */
export default {
  plugin: ['typedoc-plugin-markdown'],
  tsconfig: 'tsconfig.json',
  entryPoints: [
    'server/src/index.ts',
    'server/src/prometheus.ts',
    'server/src/opentelemetry.ts',
    'client/src/index.ts',
    'react/src/index.ts',
    'channels/src/index.ts',
    'testing/src/index.ts',
    'devtools/src/index.ts',
    'protocol/src/index.ts',
  ].map((path) => `../${path}`),
  out: 'api',
  readme: 'none',
  entryFileName: 'index',
  outputFileStrategy: 'modules',
  // Vue would take `<T>` for a tag.
  useHTMLEncodedBrackets: true,
  sanitizeComments: true,
  pageTitleTemplates: {
    index: 'API reference',
    module: ({ name }) => `@broadcaster/${name.replace('/src', '')}`,
  },
  hidePageHeader: true,
  hideBreadcrumbs: true,
  disableSources: true,
  excludePrivate: true,
  excludeInternal: true,
  excludeExternals: true,
  logLevel: 'Warn',
}
