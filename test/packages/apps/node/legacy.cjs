// A library that knows only require().
const devtools = ['devtools', 'devtools/production', 'devtools/mount', 'devtools/mount/production']
for (const name of [
  'protocol',
  'channels',
  'client',
  'react',
  'server',
  'testing',
  'testing/client',
  ...devtools,
])
  exports[name] = require(`@broadcaster/${name}`)
