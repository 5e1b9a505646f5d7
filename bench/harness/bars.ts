import { formatNumber, summarize, type Figure, type Sample, type Summary } from './figures.ts'
import type { PeerName } from './peers.ts'

/** A bound for a figure of this kit: a number, or a multiple of the figure of another peer in the same round. */
export type Bar = {
  readonly scenario: string
  /** The case to which it applies. The default is every case of the scenario. */
  readonly case?: string
  readonly subject: PeerName
  readonly figure: Figure
  /** The peer to compare with, if any. It is the same peer if only the case differs. */
  readonly against?: PeerName
  readonly againstCase?: string
  /** The upper bound of the figure, or of the ratio. */
  readonly atMost?: number
  /** In place of `atMost`: how many times smaller the figure has to be than that of `against`, at least. */
  readonly timesSmaller?: number
  readonly text: string
}

const ours = 'broadcaster'
const cpu = 'cpuPerMillion'

const growthBars = ['1 x 300', '1 x 1,000', '1 x 3,000', '1 x 10,000'].map((name): Bar => ({
  scenario: 'growth',
  case: name,
  subject: ours,
  figure: cpu,
  againstCase: '1 x 100',
  atMost: 1.2,
  text: 'CPU for a delivery <= 1.2 x that with 100 sockets',
}))

const recoveryCostBars = ['bursts 1 x 1,000', 'single 1 x 1,000', 'channels 1,000 x 1'].map((name): Bar => ({
  scenario: 'recovery-cost',
  case: name,
  subject: ours,
  figure: cpu,
  against: 'broadcaster-no-recovery',
  atMost: 1.1,
  text: 'CPU for a delivery <= 1.1 x that without recovery',
}))

const metricsBars = ['bursts 1 x 1,000', 'single 1 x 1,000'].map((name): Bar => ({
  scenario: 'metrics',
  case: name,
  subject: 'broadcaster-metrics',
  figure: cpu,
  against: ours,
  atMost: 1.05,
  text: 'CPU for a delivery <= 1.05 x that without metrics',
}))

const nodesBars = [16, 32].flatMap((count): Bar[] => [
  ...['new channels', 'shared channels', 'storm'].map((kind): Bar => ({
    scenario: 'nodes',
    case: `${kind}, ${count} nodes`,
    subject: ours,
    figure: 'redisBytesPerSubscribe',
    againstCase: `${kind}, 2 nodes`,
    atMost: 2,
    text: `${kind}: bytes between ${count} nodes <= 2 x those between 2`,
  })),
  {
    scenario: 'nodes',
    case: `new channels, ${count} nodes`,
    subject: ours,
    figure: 'publishesPerSubscribe',
    atMost: 1.2,
    text: `new channels: publishes with ${count} nodes <= 1.2`,
  },
])

export const bars: readonly Bar[] = [
  {
    scenario: 'bursts',
    subject: ours,
    figure: cpu,
    against: 'raw-batch',
    atMost: 1.5,
    text: 'CPU for a delivery <= 1.5 x the coalescing floor',
  },
  {
    scenario: 'bursts',
    subject: ours,
    figure: cpu,
    against: 'socketio',
    timesSmaller: 15,
    text: 'CPU for a delivery at least 15 x below Socket.IO',
  },
  {
    scenario: 'single',
    subject: ours,
    figure: cpu,
    against: 'raw-write',
    atMost: 1.15,
    text: 'CPU for a delivery <= 1.15 x the one-write floor',
  },
  {
    scenario: 'single',
    subject: ours,
    figure: cpu,
    against: 'express-ws',
    atMost: 0.88,
    text: 'CPU for a delivery <= 0.88 x a loop over express-ws',
  },
  {
    scenario: 'channels',
    subject: ours,
    figure: cpu,
    against: 'raw-batch',
    atMost: 1.15,
    text: 'CPU for a delivery <= 1.15 x the coalescing floor',
  },
  {
    scenario: 'latency',
    case: '50 msg/s x 1,000',
    subject: ours,
    figure: 'p99',
    against: 'raw-write',
    atMost: 1.2,
    text: 'p99 <= 1.2 x the one-write floor',
  },
  {
    scenario: 'idle',
    subject: ours,
    figure: 'kbPerConnection',
    atMost: 9,
    text: 'memory <= 9 KB a connection',
  },
  {
    scenario: 'connect',
    subject: ours,
    figure: 'cpuMsPerConnect',
    against: 'express-ws',
    atMost: 1.5,
    text: 'CPU for connect and subscribe <= 1.5 x a loop over express-ws',
  },
  {
    scenario: 'longpoll',
    subject: ours,
    figure: cpu,
    against: 'socketio',
    atMost: 0.5,
    text: 'CPU for a delivery <= half of Socket.IO polling',
  },
  {
    scenario: 'longpoll',
    subject: 'broadcaster-polltime-0',
    figure: cpu,
    against: 'socketio',
    atMost: 0.5,
    text: 'CPU for a delivery <= half of Socket.IO polling, with pollTime: 0, that is, at the same latency',
  },
  ...(['broadcaster', 'broadcaster-polltime-0'] as const).map((subject): Bar => ({
    scenario: 'longpoll',
    subject,
    figure: 'cpuUsPerPoll',
    against: 'socketio',
    atMost: 2,
    text: `CPU for a poll of ${subject} <= 2 x that of Socket.IO polling`,
  })),
  ...nodesBars,
  ...growthBars,
  ...recoveryCostBars,
  ...metricsBars,
]

export type BarResult = {
  readonly bar: Bar
  readonly case: string
  /** The figure, or the ratio of each round. */
  readonly measured: Summary
  readonly isReached: boolean
}

/**
 * The result of every bar for which both sides were measured. Ratios are computed within each round, so a slow round of the
 * machine is slow for both sides.
 */
export function checkBars(samples: readonly Sample[]): BarResult[] {
  return bars.flatMap((bar) => {
    const mine = samples.filter((sample) => sample.scenario === bar.scenario && sample.peer === bar.subject)
    const cases = new Set(mine.map((sample) => sample.case))
    return [...cases]
      .filter((name) => bar.case === undefined || bar.case === name)
      .flatMap((name) => {
        const values = mine
          .filter((sample) => sample.case === name)
          .map((sample) => valueOf(bar, sample, samples))
        const measured = summarize(values.filter((value) => value !== undefined))
        if (measured === undefined) return []
        const isReached =
          bar.timesSmaller === undefined
            ? measured.median <= bar.atMost!
            : measured.median >= bar.timesSmaller
        return [{ bar, case: name, measured, isReached }]
      })
  })
}

export function formatBar({ bar, measured, isReached }: BarResult): string {
  const unit = bar.against === undefined && bar.againstCase === undefined ? '' : ' x'
  const range = measured.rounds === 1 ? '' : ` (${formatNumber(measured.min)}–${formatNumber(measured.max)})`
  return `${isReached ? 'reached    ' : 'NOT reached'}  ${bar.text}: ${formatNumber(measured.median)}${unit}${range}`
}

function valueOf(bar: Bar, sample: Sample, samples: readonly Sample[]): number | undefined {
  const value = sample.figures[bar.figure]
  if (bar.against === undefined && bar.againstCase === undefined) return value
  const other = samples.find(
    ({ scenario, round, peer, case: name }) =>
      scenario === bar.scenario &&
      round === sample.round &&
      peer === (bar.against ?? bar.subject) &&
      name === (bar.againstCase ?? sample.case),
  )?.figures[bar.figure]
  if (value === undefined || other === undefined) return undefined
  return bar.timesSmaller === undefined ? value / other : other / value
}
