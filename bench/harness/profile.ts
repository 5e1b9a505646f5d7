import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

type CpuProfile = {
  readonly nodes: readonly { readonly id: number; readonly callFrame: CallFrame }[]
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
}

type CallFrame = { readonly functionName: string; readonly url: string; readonly lineNumber: number }

const SHOWN = 20
const root = fileURLToPath(new URL('../..', import.meta.url))

/** Prints the functions of the profile in this directory with the most own time. Idle time is left out. */
export function printProfile(directory: string): void {
  // CPU.date.time.pid.thread.sequence.cpuprofile. Thread 0 is the server, and the other one is the TypeScript loader.
  const name = readdirSync(directory).find((file) => file.split('.')[4] === '0')
  if (name === undefined) return
  const path = join(directory, name)
  const profile = JSON.parse(readFileSync(path, 'utf8')) as CpuProfile
  const frames = new Map(profile.nodes.map(({ id, callFrame }) => [id, callFrame]))
  const times = new Map<string, number>()
  let total = 0
  for (const [index, id] of profile.samples.entries()) {
    const frame = frames.get(id)!
    if (frame.functionName === '(idle)') continue
    const microseconds = profile.timeDeltas[index]!
    total += microseconds
    const label = nameOf(frame)
    times.set(label, (times.get(label) ?? 0) + microseconds)
  }
  console.error(`  ${relative(process.cwd(), path)}`)
  const sorted = [...times].toSorted(([, a], [, b]) => b - a)
  for (const [label, microseconds] of sorted.slice(0, SHOWN)) {
    console.error(`  ${((microseconds / total) * 100).toFixed(1).padStart(5)} %  ${label}`)
  }
}

function nameOf({ functionName, url, lineNumber }: CallFrame): string {
  const name = functionName || '(anonymous)'
  if (url === '') return name
  const file = url.startsWith('file:') ? relative(root, fileURLToPath(url)) : url
  return `${name} ${file}:${lineNumber + 1}`
}
