import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join, parse, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Template } from './arguments.ts'
import { CreateError } from './errors.ts'
import { extraFiles } from './files.ts'
import type { PackageManager } from './packageManager.ts'
import { packageNameFor } from './packageName.ts'

/** What a directory may have that counts as empty: a new repository, and what editors and systems leave. */
const harmless = ['.git', '.gitattributes', '.DS_Store', 'Thumbs.db', '.idea', '.vscode', 'LICENSE']

interface Project {
  readonly directory: string
  readonly name: string
}

/** @throws CreateError if there is no place for the project. Then nothing has been written. */
export async function makeProject(
  wanted: string,
  template: Template,
  manager: PackageManager,
): Promise<Project> {
  const directory = await checkDirectory(wanted)
  const source = fileURLToPath(new URL(`templates/${template}`, import.meta.url))
  const manifest = JSON.parse(await readFile(join(source, 'package.json'), 'utf8')) as {
    name: string
    dependencies: object
    devDependencies?: object
  }
  const taken = Object.keys({ ...manifest.dependencies, ...manifest.devDependencies })
  // The name of `.` is that of the directory.
  const name = packageNameFor(/^[.\\/]*$/.test(wanted) ? directory : wanted, taken)

  await writing(directory, async () => {
    await mkdir(directory, { recursive: true })
    await cp(source, directory, { recursive: true })
    const files = {
      ...extraFiles(name, template, manager),
      'package.json': `${JSON.stringify({ ...manifest, name }, null, 2)}\n`,
    }
    for (const [file, text] of Object.entries(files)) await writeFile(join(directory, file), text)
  })
  return { directory, name }
}

/** Returns the whole path. @throws CreateError if it is not a good one, or if something is there. */
export async function checkDirectory(wanted: string): Promise<string> {
  const directory = resolve(wanted)
  // Not on Windows, nor in a repository that somebody clones there.
  const forbidden = /[<>:"|?*]/.exec(parse(directory).base)
  if (forbidden !== null)
    throw new CreateError(`${wanted} is no name for a directory: it has ${forbidden[0]}`)
  const present = (await entriesOf(directory)).filter((name) => !harmless.includes(name))
  if (present.length > 0) {
    const some = present.slice(0, 3).join(', ') + (present.length > 3 ? ', ...' : '')
    throw new CreateError(`${directory} is not empty (${some}). Name another directory.`)
  }
  return directory
}

async function entriesOf(directory: string): Promise<string[]> {
  try {
    return await readdir(directory)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return []
    if (code === 'ENOTDIR')
      throw new CreateError(`${directory} is a file, or is in one. Name another directory.`)
    throw new CreateError(`${directory} can't be read: ${(error as Error).message}`)
  }
}

async function writing(directory: string, write: () => Promise<void>): Promise<void> {
  try {
    await write()
  } catch (error) {
    throw new CreateError(`${directory} can't be written: ${(error as Error).message}`)
  }
}
