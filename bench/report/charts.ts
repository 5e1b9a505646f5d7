import * as echarts from 'echarts'
import { figureTable, formatNumber, type Figure, type Summary } from '../harness/figures.ts'

export type Row = { readonly name: string; readonly summary: Summary; readonly isOurs: boolean }
export type Panel = { readonly title: string; readonly figure: Figure; readonly rows: readonly Row[] }
export type Line = {
  readonly name: string
  readonly isOurs: boolean
  readonly points: readonly (readonly [x: number, Summary])[]
}
export type LinePanel = { readonly title: string; readonly figure: Figure; readonly lines: readonly Line[] }

const ink = '#3b4252'
const faint = '#d5d9e2'
const ourColor = '#0f766e'
const otherColors = ['#94a3b8', '#c2924f', '#8b7fb8', '#b0737d']

const width = 860
const rowHeight = 26
const text = { color: ink, fontFamily: 'system-ui, sans-serif', fontSize: 12 }

/** Bars side by side in as many columns: medians, with a whisker from the least to the most of the rounds. */
export function barChart(panels: readonly Panel[], columns = 1): string {
  const most = Math.max(...panels.map(({ rows }) => rows.length))
  const panelHeight = most * rowHeight + 70
  const panelWidth = width / columns
  const places = panels.map((_, i) => ({
    left: (i % columns) * panelWidth,
    top: Math.floor(i / columns) * panelHeight,
  }))
  return render(panelHeight * Math.ceil(panels.length / columns), {
    title: panels.map(({ title, figure }, i) => titleAt(places[i]!, title, figureTable[figure].label)),
    grid: places.map(({ left, top }, i) => ({
      left: left + 150,
      top: top + 52,
      width: panelWidth - 220,
      height: panels[i]!.rows.length * rowHeight,
    })),
    xAxis: panels.map((_, i) => ({
      gridIndex: i,
      type: 'value',
      axisLabel: { show: false },
      splitLine: { show: false },
    })),
    yAxis: panels.map(({ rows }, i) => ({
      gridIndex: i,
      type: 'category',
      inverse: true,
      data: rows.map(({ name }) => name),
      axisLabel: text,
      axisTick: { show: false },
      axisLine: { lineStyle: { color: faint } },
    })),
    series: panels.flatMap(({ rows }, i) => [
      {
        type: 'bar',
        xAxisIndex: i,
        yAxisIndex: i,
        barWidth: 14,
        data: rows.map(({ summary, isOurs }) => ({
          value: summary.median,
          itemStyle: { color: isOurs ? ourColor : otherColors[0]!, borderRadius: [0, 3, 3, 0] },
        })),
        label: {
          ...text,
          show: true,
          position: 'right',
          distance: 8,
          formatter: ({ value }: { value: unknown }) => formatNumber(value as number),
        },
      },
      whiskers(
        i,
        rows.map(({ summary }) => summary),
      ),
    ]),
  })
}

/** Lines over a logarithmic axis, panels below one another. */
export function lineChart(panels: readonly LinePanel[]): string {
  const panelHeight = 300
  return render(panelHeight * panels.length, {
    title: panels.map(({ title, figure }, i) =>
      titleAt({ left: 0, top: i * panelHeight }, title, figureTable[figure].label),
    ),
    grid: panels.map((_, i) => ({
      left: 60,
      right: 170,
      top: i * panelHeight + 56,
      height: panelHeight - 100,
    })),
    xAxis: panels.map((_, i) => ({
      gridIndex: i,
      type: 'log',
      axisLabel: { ...text, formatter: (value: number) => value.toLocaleString('en-US') },
      axisLine: { lineStyle: { color: faint } },
      splitLine: { show: false },
    })),
    yAxis: panels.map((_, i) => ({
      gridIndex: i,
      type: 'value',
      min: 0,
      axisLabel: text,
      splitLine: { lineStyle: { color: faint } },
    })),
    series: panels.flatMap(({ lines }, i) =>
      lines.map(({ name, isOurs, points }, k) => ({
        type: 'line',
        name,
        xAxisIndex: i,
        yAxisIndex: i,
        symbolSize: 7,
        color: isOurs ? ourColor : otherColors[k % otherColors.length]!,
        lineStyle: { width: isOurs ? 3 : 2 },
        data: points.map(([x, summary]) => [x, summary.median]),
        endLabel: { ...text, show: true, formatter: '{a}', distance: 10 },
      })),
    ),
  })
}

function titleAt({ left, top }: { left: number; top: number }, title: string, unit: string) {
  const textStyle = { ...text, fontSize: 14, fontWeight: 600 }
  return {
    left: left + 12,
    top: top + 8,
    text: title,
    subtext: unit,
    itemGap: 4,
    textStyle,
    subtextStyle: text,
  }
}

function whiskers(panel: number, summaries: readonly Summary[]) {
  return {
    type: 'custom',
    xAxisIndex: panel,
    yAxisIndex: panel,
    data: summaries.map(({ min, max }, i) => [min, max, i]),
    encode: { x: [0, 1], y: 2 },
    renderItem: (_: unknown, api: echarts.CustomSeriesRenderItemAPI) => {
      const [from, y] = api.coord([api.value(0), api.value(2)]) as [number, number]
      const [to] = api.coord([api.value(1), api.value(2)]) as [number, number]
      const style = { stroke: ink, lineWidth: 1 }
      if (to - from < 1) return null
      const line = (x1: number, y1: number, x2: number, y2: number) => ({
        type: 'line',
        shape: { x1, y1, x2, y2 },
        style,
      })
      return {
        type: 'group',
        children: [line(from, y, to, y), line(from, y - 3, from, y + 3), line(to, y - 3, to, y + 3)],
      }
    },
  }
}

function render(height: number, option: object): string {
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width, height })
  chart.setOption({ animation: false, backgroundColor: '#ffffff', ...option } as echarts.EChartsOption)
  const svg = chart.renderToSVGString()
  chart.dispose()
  return svg
}
