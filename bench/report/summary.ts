import type { Figure } from '../harness/figures.ts'
import { barChart, type Panel } from './charts.ts'
import { rowsOf } from './panels.ts'
import type { Measured } from './report.ts'

const cpu = 'CPU seconds of the server for a million deliveries'

const wanted: readonly { scenario: string; figure: Figure; title: string; unit: string }[] = [
  { scenario: 'bursts', figure: 'cpuPerMillion', title: 'Messages in bursts', unit: cpu },
  { scenario: 'single', figure: 'cpuPerMillion', title: 'One message at a time', unit: cpu },
  { scenario: 'channels', figure: 'cpuPerMillion', title: 'A channel for each socket', unit: cpu },
  {
    scenario: 'idle',
    figure: 'kbPerConnection',
    title: 'Memory of an idle connection',
    unit: 'KB of resident memory',
  },
]

/** The chart in the README: a panel for the first case of each wanted scenario. */
export function summaryChart(results: readonly Measured[]): string | undefined {
  const panels = wanted.flatMap(({ scenario: name, figure, title, unit }): Panel[] => {
    const measured = results.find(({ scenario }) => scenario.name === name)
    if (measured === undefined) return []
    const { scenario, result } = measured
    const caseName = result.samples[0]!.case
    return [
      { title: `${title}, ${caseName}`, unit, rows: rowsOf(scenario, caseName, result.samples, figure) },
    ]
  })
  return panels.length === 0 ? undefined : barChart(panels, 2)
}
