import { kinds } from './kinds.ts'
import { measureLoad, type Load } from './load.ts'

/** A process full of abusers, so that their work and their memory are not those of the honest clients. */
export type Counts = Readonly<Record<string, Readonly<Record<string, number>>>>
export type Abused = { readonly counts: Counts; readonly load: Load }

const { port, only } = JSON.parse(process.argv[2]!) as { port: number; only: readonly string[] }
const counts: Record<string, Record<string, number>> = {}
const load = measureLoad()
let isOver = false
process.on('disconnect', () => process.exit())
process.on('message', () => {
  isOver = true
  process.send!({ counts, load: load() } satisfies Abused)
})

let number = 1
for (const [name, { abusers, run }] of Object.entries(kinds)) {
  if (only.length > 0 && !only.some((part) => name.includes(part))) continue
  const counted: Record<string, number> = {}
  counts[name] = counted
  for (let i = 0; i < abusers; i++) {
    const own = number++
    // They do not start at the same time, because that would test the backlog of the listening socket.
    setTimeout(
      () =>
        void run({
          port,
          number: own,
          isOver: () => isOver,
          count: (what) => void (counted[what] = (counted[what] ?? 0) + 1),
          sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
        }),
      Math.random() * 3000,
    )
  }
}
process.send!('started')
