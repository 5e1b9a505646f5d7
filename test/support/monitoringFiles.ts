import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** The folder of the dashboard and of the alerts. */
export const monitoringDir = join(import.meta.dirname, '..', '..', 'docs', 'monitoring')

export interface Dashboard {
  readonly panels: readonly {
    readonly id: number
    readonly type: string
    readonly title: string
    readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
    readonly datasource?: object
    readonly targets?: readonly { readonly expr: string }[]
  }[]
  readonly templating: { readonly list: readonly { readonly name: string }[] }
}

export async function readDashboard(): Promise<Dashboard> {
  return JSON.parse(await readFile(join(monitoringDir, 'grafana.json'), 'utf8')) as Dashboard
}

/** The expressions of all panels, with values for the variables of Grafana. */
export async function panelExpressions({ range = '5m', job = '.*', instance = '.*' } = {}): Promise<
  string[]
> {
  const { panels } = await readDashboard()
  return panels
    .flatMap(({ targets = [] }) => targets.map(({ expr }) => expr))
    .map((expr) =>
      expr.replaceAll('$__rate_interval', range).replaceAll('$job', job).replaceAll('$instance', instance),
    )
}

/** The expressions of the alerts, by their names. */
export async function alertExpressions(): Promise<Map<string, string>> {
  const text = await readFile(join(monitoringDir, 'alerts.yml'), 'utf8')
  const rules = text.split(/^ +- alert: /m).slice(1)
  return new Map(
    rules.map((rule) => {
      const name = /^\w+/.exec(rule)![0]
      const expr = /expr: (?:>-\s+)?(.*?)\n\s+(?:for|labels):/s.exec(rule)![1]!
      return [name, expr.replaceAll(/\s+/g, ' ')]
    }),
  )
}
