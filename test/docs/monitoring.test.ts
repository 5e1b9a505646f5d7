import { prometheus } from '@broadcaster/server/prometheus'
import { parser } from '@prometheus-io/lezer-promql'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Registry } from 'prom-client'
import { beforeAll, describe, expect, it } from 'vitest'
import { DELIVERY_DURATION, METRICS_LIST } from '../../server/src/metrics/list.ts'
import { startServer } from '../support/server.ts'
import { alertExpressions, panelExpressions, readDashboard } from '../support/monitoringFiles.ts'

const root = join(import.meta.dirname, '..', '..')
const page = await readFile(join(root, 'docs', 'monitoring.md'), 'utf8')
const cellsOf = (line: string) =>
  line
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim())
const unquoted = (cell: string) => cell.split(', ').map((name) => name.replaceAll('`', ''))

/** What a server exposes: each metric with its type, its help, its labels and its values. */
let exposed: Awaited<ReturnType<Registry['getMetricsAsJSON']>>
let text: string

beforeAll(async () => {
  const server = await startServer()
  const register = new Registry()
  prometheus(server.broadcaster, { register })
  exposed = await register.getMetricsAsJSON()
  text = await register.metrics()
  await server.close()
})

describe('The metrics in docs/monitoring.md', () => {
  const rows = [...page.matchAll(/^\| `broadcaster_\w+` .*\|$/gm)].map(([line]) => cellsOf(line))

  it('are those that a server exposes, with their types, labels and meanings', () => {
    const documented = rows.map(([name, , type, , labels, meaning]) => ({
      name: unquoted(name!)[0],
      type,
      labels: labels === '' ? [] : unquoted(labels!),
      help: meaning,
    }))
    const real = exposed.map(({ name, type, help, values }) => ({
      name,
      type,
      labels: [...new Set(values.flatMap((value) => Object.keys(value.labels)))].filter(
        (label) => label !== 'le',
      ),
      help,
    }))
    expect(documented).toEqual(real)
  })

  it('have the names and units for OpenTelemetry', () => {
    expect(rows.map(([, name, , unit]) => [unquoted(name!)[0], unit])).toEqual(
      [...METRICS_LIST, DELIVERY_DURATION].map(({ name, unit }) => [`broadcaster.${name}`, unit]),
    )
  })

  it('have names as Prometheus wants them', () => {
    for (const { name, type } of exposed as unknown as { name: string; type: string }[]) {
      expect(name).toMatch(/^broadcaster_[a-z_]+$/)
      expect(name.endsWith('_total'), name).toBe(type === 'counter')
    }
    expect(text).not.toContain('undefined')
    expect(text).not.toContain('NaN')
  })
})

describe('The expressions of the dashboard and of the alerts', () => {
  it('are many, and the parser finds mistakes', async () => {
    expect((await panelExpressions()).length).toBeGreaterThan(25)
    expect((await alertExpressions()).size).toBeGreaterThan(8)
    expect(() => metricsIn('sum(rate(broadcaster_gaps_total[5m])')).toThrow('broadcaster_gaps_total')
  })

  it('use only metrics and labels that a server exposes', async () => {
    const families = new Map(exposed.map((metric) => [metric.name as string, metric]))
    for (const expression of [...(await panelExpressions()), ...(await alertExpressions()).values()]) {
      for (const name of metricsIn(expression)) {
        expect([...families.keys()], expression).toContain(name.replace(/_(bucket|sum|count)$/, ''))
      }
      for (const [, label, value] of expression.matchAll(/(\w+)=~?"([\w|]+)"/g)) {
        if (label === 'job' || label === 'instance') continue
        for (const one of value!.split('|')) expect(text, expression).toContain(`${label}="${one}"`)
      }
    }
  })

  it('use every metric', async () => {
    const all = [...(await panelExpressions()), ...(await alertExpressions()).values()].join('\n')
    for (const { name } of exposed as unknown as { name: string }[]) expect(all).toContain(name)
  })
})

describe('The dashboard', () => {
  it('has panels that do not overlap, with unique ids, a title and a data source', async () => {
    const { panels, templating } = await readDashboard()
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length)
    const taken = new Set<string>()
    for (const { title, type, gridPos, datasource } of panels) {
      expect(title).not.toBe('')
      if (type !== 'row') expect(datasource).toEqual({ type: 'prometheus', uid: '${datasource}' })
      const { x, y, w, h } = gridPos
      expect(x + w).toBeLessThanOrEqual(24)
      for (let i = x; i < x + w; i++) {
        for (let j = y; j < y + h; j++) {
          expect(taken.has(`${i} ${j}`), title).toBe(false)
          taken.add(`${i} ${j}`)
        }
      }
    }
    expect(templating.list.map(({ name }) => name)).toEqual(['datasource', 'job', 'instance'])
  })
})

describe('The alerts in docs/monitoring.md', () => {
  it('are those of alerts.yml', async () => {
    const rows = [...page.matchAll(/^\| `(Broadcaster\w+)` /gm)].map(([, name]) => name)
    expect(rows).toEqual([...(await alertExpressions()).keys()])
  })
})

describe('The log events in docs/monitoring.md', () => {
  it('are those of the source, and each is logged somewhere', async () => {
    const sources = join(root, 'server', 'src')
    const files = (await readdir(sources, { recursive: true })).filter((name) => name.endsWith('.ts'))
    const texts = await Promise.all(
      files.filter((name) => name !== 'logger.ts').map((name) => readFile(join(sources, name), 'utf8')),
    )
    const declared = [
      ...(await readFile(join(sources, 'logger.ts'), 'utf8')).matchAll(/^ {2}\| '(\w+)'$/gm),
    ].map(([, event]) => event!)
    const section = page.slice(page.indexOf('## Log lines'))
    const [, ...rows] = [...section.matchAll(/^\| `(\w+)` /gm)].map(([, event]) => event!)
    expect(declared.length).toBeGreaterThan(30)
    expect(rows.toSorted()).toEqual(declared.toSorted())
    const all = texts.join('\n')
    for (const event of declared) expect(all).toContain(`'${event}'`)
  })
})

/** The names of the metrics in a PromQL expression. */
function metricsIn(expression: string): string[] {
  const names: string[] = []
  parser.parse(expression).iterate({
    enter: ({ type, from, to, node }) => {
      if (type.isError) throw new Error(`Not PromQL at ${from}: ${expression}`)
      if (type.name === 'Identifier' && node.parent?.name === 'VectorSelector')
        names.push(expression.slice(from, to))
    },
  })
  return names
}
