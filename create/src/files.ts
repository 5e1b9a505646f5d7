import type { Template } from './arguments.ts'
import type { PackageManager } from './packageManager.ts'

/** Files that the templates do not have: npm does not pack `.gitignore`, and the README says what fits the project. */
export function extraFiles(
  name: string,
  template: Template,
  { install, run }: PackageManager,
): Record<string, string> {
  return { '.gitignore': gitignore, 'README.md': readme(name, template, { install, run }) }
}

const gitignore = `node_modules
dist
.next
.yarn
.pnp.*
.env*
*.log
.DS_Store
`

function readme(name: string, template: Template, { install, run }: PackageManager): string {
  const build = template === 'server' ? '' : `${run('build')}\n`
  return `# ${name}

Headlines that are published arrive on every open page, over WebSocket or long-poll. Made with \`npm create broadcaster\`.

\`\`\`sh
${install}
${run('dev')}     # http://localhost:3000
${run('test')}
\`\`\`

In production:

\`\`\`sh
${build}${run('start')}
\`\`\`

Without Redis, one process serves all pages. With Redis, there may be many, and any program publishes:

\`\`\`sh
export REDIS_URL=redis://localhost:6379
${run('dev')}
redis-cli PUBLISH news ${template === 'next' ? `'{"id":"1","text":"hello"}'` : 'hello'}
\`\`\`

- \`server.js\`: the server. \`canConnect\` and \`canSubscribe\` of \`broadcaster()\` decide who gets what: without them, everyone gets everything.
- ${places[template]}
- The tests have a broadcaster in memory, from \`@broadcaster/testing\`.
`
}

const places = {
  vite: '`src/News.jsx`: the component that shows the channel `news`.',
  next: '`app/News.jsx`: the component that shows the channel `news`. `app/headlines.js` stores headlines and publishes them.',
  server: '`public/news.js`: what the page does with the channel `news`.',
}
