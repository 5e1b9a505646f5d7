import { checkBars, formatBar, type BarResult } from '../harness/bars.ts'
import { figureTable, type Figure } from '../harness/figures.ts'
import type { Machine } from '../harness/machine.ts'
import { peerNames, peers } from '../harness/peers.ts'
import { tableOf } from '../harness/print.ts'
import { barChart, lineChart } from './charts.ts'
import { linePanelsOf, panelsOf } from './panels.ts'
import type { Measured } from './report.ts'

const style = `
  :root { color-scheme: light; }
  body { font: 15px/1.5 system-ui, sans-serif; color: #1f2937; max-width: 1000px; margin: 2rem auto; padding: 0 1rem; }
  h2 { margin-top: 3rem; border-top: 1px solid #e5e7eb; padding-top: 1.5rem; }
  h3 { margin-bottom: .3rem; }
  table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
  .scroll { overflow-x: auto; }
  th, td { padding: .25rem .7rem; text-align: right; border-bottom: 1px solid #eef0f3; white-space: nowrap; }
  th:first-child, td:first-child { text-align: left; }
  .ours td:first-child { font-weight: 600; color: #0f766e; }
  .bar { margin: .2rem 0; }
  .bar::before { content: '✓ '; color: #0f766e; font-weight: 700; }
  .missed::before { content: '✗ '; color: #b91c1c; }
  .note, dt, dd { font-size: 13px; color: #4b5563; }
  dt { float: left; clear: left; width: 12rem; font-weight: 600; }
  dd { margin: 0 0 .2rem 12rem; }
  svg { max-width: 100%; height: auto; }
`

/** The whole report as one file, without scripts. */
export function page(results: readonly Measured[]): string {
  const all = results.flatMap(({ result }) => (result.size === 'smoke' ? [] : result.samples))
  const bars = checkBars(all)
  const reached = bars.filter(({ isReached }) => isReached).length
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>broadcaster: benchmarks</title>
<style>${style}</style>
</head>
<body>
<h1>Benchmarks</h1>
<p>Each figure is the median of the rounds, with the least and the most in brackets. Peers ran one after the other in each
round, every other round backwards. The main figure is the server's CPU seconds for a million deliveries: it holds where
generator, Redis and server share the cores. <code>bench/README.md</code> says how it was measured.</p>
<p>Bars reached: ${reached} of ${bars.length}.</p>
${results.map((measured) => section(measured, bars)).join('\n')}
<h2>The peers</h2>
<dl>${peerNames.map((name) => `<dt>${name}</dt><dd>${escape(peers[name].about)}</dd>`).join('\n')}</dl>
<h2>The figures</h2>
<dl>${(Object.keys(figureTable) as Figure[])
    .map(
      (figure) =>
        `<dt>${escape(figureTable[figure].label)}</dt><dd>${escape(figureTable[figure].about)}</dd>`,
    )
    .join('\n')}</dl>
</body>
</html>
`
}

function section(measured: Measured, bars: readonly BarResult[]): string {
  const { scenario, result } = measured
  const chart =
    scenario.point === undefined ? barChart(panelsOf(measured)) : lineChart(linePanelsOf(measured))
  const cases = [...new Set(result.samples.map((sample) => sample.case))]
  const parts = cases.map((name) => {
    const mine = bars.filter((result) => result.bar.scenario === scenario.name && result.case === name)
    return `<h3>${escape(name)}</h3>\n${table(tableOf(scenario, name, result.samples))}\n${mine.map(barLine).join('\n')}`
  })
  return `<h2 id="${scenario.name}">${scenario.name}</h2>
<p>${escape(scenario.about)}</p>
${chart}
${parts.join('\n')}
<p class="note">${escape(describe(result.machine))} Size: ${result.size}.</p>`
}

function table([head, ...rows]: readonly (readonly string[])[]): string {
  const cells = (row: readonly string[], tag: string) =>
    row.map((cell) => `<${tag}>${escape(cell)}</${tag}>`).join('')
  const body = rows.map(
    (row) => `<tr${row[0]!.startsWith('broadcaster') ? ' class="ours"' : ''}>${cells(row, 'td')}</tr>`,
  )
  return `<div class="scroll"><table><thead><tr>${cells(head!, 'th')}</tr></thead><tbody>${body.join('\n')}</tbody></table></div>`
}

function barLine(result: BarResult): string {
  return `<p class="bar${result.isReached ? '' : ' missed'}">${escape(formatBar(result).replace(/^\S+( reached)? +/, ''))}</p>`
}

function describe({ date, cpu, cores, memoryGiB, kernel, versions }: Machine): string {
  const programs = Object.entries(versions).map(([name, version]) => `${name} ${version}`)
  return `${date.slice(0, 10)}, ${cpu}, ${cores} cores, ${memoryGiB} GiB, Linux ${kernel}; ${programs.join(', ')}.`
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
