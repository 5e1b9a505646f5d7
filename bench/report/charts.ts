import * as echarts from 'echarts'
import { formatNumber, type Summary } from '../harness/figures.ts'

export type Row = { readonly name: string; readonly summary: Summary; readonly isOurs: boolean }
/** `unit` is the line below the title. */
export type Panel = { readonly title: string; readonly unit: string; readonly rows: readonly Row[] }
export type Line = {
  readonly name: string
  readonly isOurs: boolean
  readonly points: readonly (readonly [x: number, Summary])[]
}
export type LinePanel = { readonly title: string; readonly unit: string; readonly lines: readonly Line[] }

const ink = '#3b4252'
const faint = '#d5d9e2'
const ourColor = '#0f766e'
const otherColors = ['#94a3b8', '#c2924f', '#8b7fb8', '#b0737d']

const width = 860
const rowHeight = 26
const text = { color: ink, fontFamily: 'system-ui, sans-serif', fontSize: 12 }

/** Bars in this number of columns. A bar is the median of the rounds, with a whisker from the minimum to the maximum. */
export function barChart(panels: readonly Panel[], columns = 1): string {
  const most = Math.max(...panels.map(({ rows }) => rows.length))
  const panelHeight = most * rowHeight + 70
  const panelWidth = width / columns
  const places = panels.map((_, i) => ({
    left: (i % columns) * panelWidth,
    top: Math.floor(i / columns) * panelHeight,
  }))
  return render(panelHeight * Math.ceil(panels.length / columns), {
    title: panels.map(({ title, unit }, i) => titleAt(places[i]!, title, unit)),
    grid: places.map(({ left, top }, i) => ({
      left: left + 175,
      top: top + 52,
      width: panelWidth - 250,
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
      },
      whiskers(
        i,
        rows.map(({ summary }) => summary),
      ),
    ]),
  })
}

/** Lines over a logarithmic axis, with one panel below the other. */
export function lineChart(panels: readonly LinePanel[]): string {
  const panelHeight = 300
  return render(panelHeight * panels.length, {
    title: panels.map(({ title, unit }, i) => titleAt({ left: 0, top: i * panelHeight }, title, unit)),
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

/** The whiskers, with the median as a number beside them. */
function whiskers(panel: number, summaries: readonly Summary[]) {
  return {
    type: 'custom',
    xAxisIndex: panel,
    yAxisIndex: panel,
    data: summaries.map(({ min, max, median }, i) => [min, max, i, median]),
    encode: { x: [0, 1, 3], y: 2 },
    renderItem: (_: unknown, api: echarts.CustomSeriesRenderItemAPI) => {
      const [from, y] = api.coord([api.value(0), api.value(2)]) as [number, number]
      const [to] = api.coord([api.value(1), api.value(2)]) as [number, number]
      const style = { stroke: ink, lineWidth: 1 }
      const line = (x1: number, y1: number, x2: number, y2: number) => ({
        type: 'line',
        shape: { x1, y1, x2, y2 },
        style,
      })
      const spread = [line(from, y, to, y), line(from, y - 3, from, y + 3), line(to, y - 3, to, y + 3)]
      const { color: fill, fontFamily, fontSize } = text
      const figure = {
        type: 'text',
        x: to + 8,
        y: y - fontSize / 2,
        style: { text: formatNumber(api.value(3) as number), fill, font: `${fontSize}px ${fontFamily}` },
      }
      return { type: 'group', children: to - from < 1 ? [figure] : [...spread, figure] }
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
