import { createInterface, type Interface } from 'node:readline/promises'
import { isTemplate, templates, type Template, type Wanted } from './arguments.ts'
import { CreateError } from './errors.ts'
import { checkDirectory } from './project.ts'

/** Asks in the terminal for what is missing. */
export async function ask(
  { directory, template }: Wanted,
  input: NodeJS.ReadableStream = process.stdin,
  output: NodeJS.WritableStream = process.stdout,
): Promise<Required<Wanted>> {
  const terminal = createInterface({ input, output })
  // Ctrl+C and Ctrl+D: without this, Node would wait for an answer that never comes.
  const ended = new Promise<never>((_, reject) => {
    terminal.once('close', () => reject(new CreateError('ended, nothing was made')))
  })
  ended.catch(() => {})
  const question = (text: string) => Promise.race([terminal.question(text), ended])
  const say = (text: string) => void output.write(`${text}\n`)
  try {
    return {
      directory: directory ?? (await askDirectory(question, say)),
      template: template ?? (await askTemplate(question, say)),
    }
  } finally {
    terminal.close()
  }
}

type Question = (text: string) => ReturnType<Interface['question']>
type Say = (text: string) => void

async function askDirectory(question: Question, say: Say): Promise<string> {
  for (;;) {
    const directory = (await question('Directory (broadcaster-app): ')).trim() || 'broadcaster-app'
    try {
      await checkDirectory(directory)
      return directory
    } catch (error) {
      if (!(error instanceof CreateError)) throw error
      say(error.message)
    }
  }
}

async function askTemplate(question: Question, say: Say): Promise<Template> {
  const names = Object.keys(templates)
  for (const [index, [name, what]] of Object.entries(templates).entries())
    say(`  ${index + 1}  ${name.padEnd(8)}${what}`)
  for (;;) {
    const answer = (await question('Template (1): ')).trim() || '1'
    const name = names[Number(answer) - 1] ?? answer
    if (isTemplate(name)) return name
    say(`Type 1 to ${names.length}, or the name of a template.`)
  }
}
