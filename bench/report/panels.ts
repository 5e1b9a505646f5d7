import { figureTable, summaryOf, type Figure, type Sample } from '../harness/figures.ts'
import { peers } from '../harness/peers.ts'
import type { Scenario } from '../harness/scenario.ts'
import type { Line, LinePanel, Panel, Row } from './charts.ts'
import type { Measured } from './report.ts'

/** A bar for each peer, in the order of the scenario. */
export function rowsOf(
  scenario: Scenario,
  caseName: string,
  samples: readonly Sample[],
  figure: Figure,
): Row[] {
  return scenario.peers.flatMap((name) => {
    const summary = summaryOf(samples, name, caseName, figure)
    return summary === undefined ? [] : [{ name, summary, isOurs: peers[name].isOurs === true }]
  })
}

/** A panel for each case. It shows the first column of the table for which the case has figures. */
export function panelsOf({ scenario, result: { samples } }: Measured): Panel[] {
  return [...new Set(samples.map((sample) => sample.case))].map((caseName) => {
    const inCase = samples.filter((sample) => sample.case === caseName)
    const figure = scenario.columns.find((column) =>
      inCase.some(({ figures }) => figures[column] !== undefined),
    )!
    return {
      title: caseName,
      unit: figureTable[figure].label,
      rows: rowsOf(scenario, caseName, inCase, figure),
    }
  })
}

/** A panel for each line of a scenario whose cases are points of lines. */
export function linePanelsOf({ scenario, result: { samples, size } }: Measured): LinePanel[] {
  const figure = scenario.columns[0]
  const points = scenario.cases[size].map((options) => ({ name: options.name, ...scenario.point!(options) }))
  return [...new Set(points.map(({ line }) => line))].map((title) => ({
    title,
    unit: figureTable[figure].label,
    lines: scenario.peers.map((peer): Line => ({
      name: peer,
      isOurs: peers[peer].isOurs === true,
      points: points
        .filter(({ line }) => line === title)
        .flatMap(({ name, x }) => {
          const summary = summaryOf(samples, peer, name, figure)
          return summary === undefined ? [] : [[x, summary] as const]
        }),
    })),
  }))
}
