import { readdirSync, readFileSync } from 'node:fs'

export type Cpu = { readonly user: number; readonly system: number }

type Process = { readonly pid: number; readonly parent: number; readonly name: string; readonly cpu: Cpu }

/** The unit of CPU times in /proc. It is the same on every Linux that Node supports. */
const TICKS_PER_SECOND = 100
const PAGE_BYTES = 4096

/** CPU seconds so far of a process and of its descendants. */
export function cpuOf(pid: number): Cpu {
  let user = 0
  let system = 0
  for (const { cpu } of treeOf(pid)) {
    user += cpu.user
    system += cpu.system
  }
  return { user, system }
}

/** Resident memory of a process and of its descendants, in bytes. */
export function rssOf(pid: number): number {
  let pages = 0
  for (const { pid: member } of treeOf(pid)) pages += Number(readProc(member, 'statm')?.split(' ')[1] ?? 0)
  return pages * PAGE_BYTES
}

function treeOf(root: number): Process[] {
  const all = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => readProcess(Number(name)))
    .filter((process) => process !== undefined)
  const tree = all.filter(({ pid }) => pid === root)
  for (const member of tree) {
    // The compiler of the TypeScript loader is still running. It is not part of the server.
    tree.push(...all.filter(({ parent, name }) => parent === member.pid && name !== 'esbuild'))
  }
  return tree
}

function readProcess(pid: number): Process | undefined {
  const stat = readProc(pid, 'stat')
  if (stat === undefined) return undefined
  // The name is in parentheses and may contain any character, so fields are counted from its end.
  const nameEnd = stat.lastIndexOf(')')
  const fields = stat.slice(nameEnd + 2).split(' ')
  const [parent, user, system] = [fields[1], fields[11], fields[12]].map(Number) as [number, number, number]
  return {
    pid,
    parent,
    name: stat.slice(stat.indexOf('(') + 1, nameEnd),
    cpu: { user: user / TICKS_PER_SECOND, system: system / TICKS_PER_SECOND },
  }
}

/** `undefined` if the process has ended in the meantime. */
function readProc(pid: number, file: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8')
  } catch {
    return undefined
  }
}
