import { checkBars, formatBar } from './bars.ts'
import { figureTable, formatSummary, summaryOf, type Sample } from './figures.ts'
import type { Scenario } from './scenario.ts'
import type { Size } from './session.ts'

/** The cells of one case's table: a row for each peer, a column for each figure that at least one peer has. */
export function tableOf(scenario: Scenario, caseName: string, samples: readonly Sample[]): string[][] {
  const mine = samples.filter((sample) => sample.scenario === scenario.name && sample.case === caseName)
  const peers = scenario.peers.filter((peer) => mine.some((sample) => sample.peer === peer))
  const columns = scenario.columns.filter((figure) =>
    mine.some((sample) => sample.figures[figure] !== undefined),
  )
  // Lost and disordered messages are shown in every scenario in which they happened.
  for (const figure of ['lost', 'disorder'] as const) {
    if (!columns.includes(figure) && mine.some((sample) => (sample.figures[figure] ?? 0) !== 0))
      columns.push(figure)
  }
  const rows = peers.map((peer) => [
    peer,
    ...columns.map((figure) => {
      const summary = summaryOf(mine, peer, caseName, figure)
      return summary === undefined ? '' : formatSummary(summary)
    }),
  ])
  return [['', ...columns.map((figure) => figureTable[figure].label)], ...rows]
}

/** Prints the tables and bars of one scenario. */
export function printScenario(scenario: Scenario, samples: readonly Sample[], size: Size): void {
  const mine = samples.filter((sample) => sample.scenario === scenario.name)
  if (mine.length === 0) return
  console.log(`\n${scenario.name}: ${scenario.about}`)
  // A smoke run is too small to be compared with the bars.
  const results = size === 'smoke' ? [] : checkBars(mine)
  for (const name of new Set(mine.map((sample) => sample.case))) {
    console.log(`\n  ${name}`)
    for (const line of align(tableOf(scenario, name, mine))) console.log(`    ${line}`)
    for (const result of results) if (result.case === name) console.log(`    ${formatBar(result)}`)
  }
}

function align(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  return rows.map((row) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
      .join('  ')
      .trimEnd(),
  )
}
