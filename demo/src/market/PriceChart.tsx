import { useEffect, useRef } from 'react'
import UPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import type { SymbolName } from '../../channels.ts'
import { clock } from '../page/clock.ts'
import { useDemo } from '../page/demo.ts'
import { LINE_SECONDS, type Prices } from './prices.ts'

const FRAME_MS = 50
/** For those who prefer less motion. */
const CALM_FRAME_MS = 1_000

/** The last minute of a price. Time goes on when messages do not, and those that come later fill the line. */
export default function PriceChart({ symbol }: { symbol: SymbolName }) {
  const { prices } = useDemo()
  const box = useRef<HTMLDivElement>(null)
  useEffect(() => draw(box.current!, symbol, prices), [symbol, prices])
  return <div ref={box} className="chart" role="img" aria-label={`Price of ${symbol} in the last minute`} />
}

/** Draws until the returned function is called. */
function draw(box: HTMLElement, symbol: SymbolName, prices: Prices): () => void {
  const chart = new UPlot(
    {
      ...sizeOf(box),
      legend: { show: false },
      cursor: { show: false },
      padding: [12, 12, 0, 0],
      scales: {
        x: { range: () => [prices.now() - LINE_SECONDS, prices.now()] },
        y: { range: (_, min, max) => rangeOf(min, max) },
      },
      // The colours are read for each frame, so a change of the colour scheme needs nothing.
      axes: [
        {
          stroke: () => color('--ink-soft'),
          font: FONT,
          ticks: { show: false },
          grid: { show: false },
          size: 30,
          space: 80,
          values: (_, seconds) => seconds.map((second) => clock.format(second * 1000)),
        },
        {
          stroke: () => color('--ink-soft'),
          font: FONT,
          ticks: { show: false },
          grid: { stroke: () => color('--line'), width: 1 },
          size: 56,
          space: 44,
          values: (_, values) => values.map((value) => value.toFixed(2)),
        },
      ],
      series: [
        {},
        {
          stroke: () => color('--accent'),
          fill: () => color('--accent-wash'),
          width: 2,
          points: { show: false },
          spanGaps: false,
        },
      ],
    },
    [[], []],
    box,
  )
  const resizes = new ResizeObserver(() => chart.setSize(sizeOf(box)))
  resizes.observe(box)
  const calm = matchMedia('(prefers-reduced-motion: reduce)')
  let drawnAt = 0
  const onFrame = (now: number) => {
    frame = requestAnimationFrame(onFrame)
    if (now - drawnAt < (calm.matches ? CALM_FRAME_MS : FRAME_MS)) return
    drawnAt = now
    chart.setData(prices.lineOf(symbol))
  }
  let frame = requestAnimationFrame(onFrame)

  return () => {
    cancelAnimationFrame(frame)
    resizes.disconnect()
    chart.destroy()
  }
}

const FONT = '12px system-ui, sans-serif'
function sizeOf({ clientWidth, clientHeight }: HTMLElement): { width: number; height: number } {
  return { width: clientWidth, height: clientHeight }
}

function color(name: string): string {
  return getComputedStyle(probe(name)).color
}

const probes = new Map<string, HTMLElement>()

/** The value of a custom property is not resolved to one colour scheme: that of an element is. */
function probe(name: string): HTMLElement {
  let element = probes.get(name)
  if (element === undefined) {
    element = document.createElement('span')
    element.hidden = true
    element.style.color = `var(${name})`
    document.body.append(element)
    probes.set(name, element)
  }
  return element
}

function rangeOf(min: number | null, max: number | null): [number, number] {
  if (min === null || max === null) return [0, 1]
  const margin = Math.max((max - min) * 0.15, max * 0.0005)
  return [min - margin, max + margin]
}
