import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import type { Sample } from '../harness/figures.ts'
import { describeMachine, type Machine } from '../harness/machine.ts'
import type { Scenario } from '../harness/scenario.ts'
import type { Size } from '../harness/session.ts'
import { scenarios } from '../scenarios/index.ts'
import { page } from './page.ts'
import { summaryChart } from './summary.ts'

/** One file of `results/`: every round of the last measurement of a scenario. */
export type Result = {
  readonly scenario: string
  readonly size: Size
  readonly machine: Machine
  readonly samples: readonly Sample[]
}

const directory = new URL('../results/', import.meta.url)

/**
 * Writes a file for each measured scenario, then makes the page and the pictures from all files in `results/`, because
 * scenarios can be measured on different days.
 */
export async function writeReport(samples: readonly Sample[], size: Size): Promise<void> {
  await mkdir(directory, { recursive: true })
  const machine = describeMachine()
  for (const { name } of scenarios) {
    const mine = samples.filter(({ scenario }) => scenario === name)
    if (mine.length === 0) continue
    const result: Result = { scenario: name, size, machine, samples: mine }
    await writeFile(new URL(`${name}.json`, directory), `${JSON.stringify(result, undefined, 1)}\n`)
  }
  const results = await readResults()
  await writeFile(new URL('index.html', directory), page(results))
  const summary = summaryChart(results)
  if (summary !== undefined) await writeFile(new URL('summary.svg', directory), summary)
  console.error(`\nWrote ${fileURLToPath(new URL('index.html', directory))}`)
}

export type Measured = { readonly scenario: Scenario; readonly result: Result }

async function readResults(): Promise<Measured[]> {
  const names = await readdir(directory)
  const files = scenarios.filter(({ name }) => names.includes(`${name}.json`))
  return Promise.all(
    files.map(async (scenario) => ({
      scenario,
      result: JSON.parse(await readFile(new URL(`${scenario.name}.json`, directory), 'utf8')) as Result,
    })),
  )
}
