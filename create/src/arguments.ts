import { parseArgs } from 'node:util'
import { CreateError } from './errors.ts'

export const templates = {
  vite: 'Express and a React page, built by Vite',
  next: 'Next.js with server components, in an Express server',
  server: 'Express and a page without a bundler',
} as const

export type Template = keyof typeof templates

export interface Wanted {
  readonly directory?: string
  readonly template?: Template
}

export const usage = `npm create broadcaster [directory] [-- --template ${Object.keys(templates).join('|')}]

The directory is made. It may also be an empty one, or "." for where you are.

${Object.entries(templates)
  .map(([name, what]) => `  ${name.padEnd(8)}${what}`)
  .join('\n')}

In a terminal, it asks for what is missing. Elsewhere, it makes broadcaster-app from the template vite.`

/**
 * npm takes `--template` for itself if there is no `--` before it, and so it does in PowerShell with `--`. It passes the value of
 * `--template=next` on in the environment, and that of `--template next` as one more argument.
 *
 * @throws CreateError
 */
export function readArguments(
  args: readonly string[],
  taken = process.env['npm_config_template'],
): Wanted | 'help' | 'version' {
  const { values, positionals } = parse(args)
  if (values.help) return 'help'
  if (values.version) return 'version'
  const named = values.template ?? (taken === 'true' ? undefined : taken)
  const isBesides = named === undefined && (taken === 'true' || positionals.length > 1)
  const besides = isBesides ? positionals.findLast(isTemplate) : undefined
  const directories = positionals.toSpliced(
    besides === undefined ? Infinity : positionals.lastIndexOf(besides),
    1,
  )
  if (directories.length > 1)
    throw new CreateError(`one directory is expected: ${positionals.join(' ')}\n\n${usage}`)
  const template = named ?? besides
  if (template !== undefined && !isTemplate(template)) {
    const names = Object.keys(templates).join(', ')
    throw new CreateError(`there is no template ${template}. There are ${names}.`)
  }
  const [directory] = directories
  return { ...(directory !== undefined && { directory }), ...(template !== undefined && { template }) }
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        template: { type: 'string', short: 't' },
        help: { type: 'boolean', short: 'h', default: false },
        version: { type: 'boolean', short: 'v', default: false },
      },
    })
  } catch (error) {
    throw new CreateError(`${(error as Error).message}\n\n${usage}`)
  }
}

export function isTemplate(text: string): text is Template {
  return Object.hasOwn(templates, text)
}
