import type { Results } from './clientsMain.ts'
import type { Fault } from './faults.ts'
import type { NumberedPublisher } from './publisher.ts'
import type { RecordData, Repeated } from './record.ts'

/** A fault that has happened. It lasts until all clients had all messages again, if the run waited for that. */
export type Episode = {
  readonly fault: Fault
  readonly from: number
  /** When the fault itself was over, or `null` if the run did not wait for the clients. */
  readonly over: number | null
  readonly to: number
}

export type Report = {
  readonly messages: number
  /** Publishes without an answer of Redis. */
  readonly unsure: number
  readonly deliveries: number
  readonly faults: Readonly<Record<string, number>>
  /** Deliveries that did not arrive, without a gap. */
  readonly lost: number
  readonly duplicated: number
  readonly outOfOrder: number
  /** Deliveries that did not arrive, with a gap in their place. */
  readonly missed: number
  /** Gaps that clients were told of while some node had every channel. There must be none. */
  readonly gapsCovered: number
  readonly gapsUncovered: number
  /** The times from the interruption of a client until it had all messages again. */
  readonly recoveries: Distribution
  /** The times from the end of a fault until all clients had all messages that were published before. */
  readonly settling: Distribution
  readonly latency: Distribution
  /** How many channels had no copy yet when they had been held for long enough; then the run waited for the copies. */
  readonly copiedLate: number
  /** The violations of the guarantee. */
  readonly breaches: readonly string[]
}

export type Distribution = {
  readonly count: number
  readonly p50: number
  readonly p99: number
  readonly max: number
}

export function judge(
  results: Results,
  publisher: NumberedPublisher,
  episodes: readonly Episode[],
  happened: readonly string[],
): Report {
  const breaches: string[] = [...happened, ...results.gaveUp.map((who) => `Gave up: ${who}`)]
  const uncovered = episodes.filter(({ fault }) => !fault.isCovered)
  const isUncovered = (at: number) => uncovered.some(({ from, to }) => at >= from && at <= to)
  const sum = { lost: 0, missed: 0, duplicated: 0, outOfOrder: 0, gapsCovered: 0, gapsUncovered: 0 }
  for (const record of results.records) {
    const who = `${record.client}, ${record.channel}`
    for (const { after, to, gap, at } of holes(record, publisher)) {
      const count = published(publisher, record.channel, after, to)
      if (gap !== null) sum.missed += count
      else if (count > 0) {
        sum.lost += count
        breaches.push(`Lost: ${who}: ${count} between ${after} and ${to}, at ${time(at)}`)
      }
    }
    sum.duplicated += record.duplicated.length
    sum.outOfOrder += record.outOfOrder.length
    for (const repeated of record.duplicated) breaches.push(`Doubled: ${who}: ${inWords(repeated)}`)
    for (const repeated of record.outOfOrder) breaches.push(`Out of order: ${who}: ${inWords(repeated)}`)
    for (const { reason, after, at } of record.gaps) {
      if (isUncovered(at)) {
        sum.gapsUncovered += 1
        continue
      }
      sum.gapsCovered += 1
      breaches.push(
        `Gap though another node had the messages: ${who}: ${reason} after ${after}, at ${time(at)}`,
      )
    }
  }
  const faults: Record<string, number> = {}
  for (const { fault } of episodes) faults[fault.kind] = (faults[fault.kind] ?? 0) + 1
  return {
    messages: publisher.published,
    unsure: publisher.unsure,
    deliveries: results.deliveries,
    faults,
    ...sum,
    recoveries: distribution(results.recoveries),
    settling: distribution(episodes.flatMap(({ over, to }) => (over === null ? [] : [to - over]))),
    latency: histogram(results.latencies),
    copiedLate: 0,
    breaches,
  }
}

export function table(title: string, report: Report): string {
  const { recoveries, latency } = report
  const rows: [string, string | number][] = [
    ['messages published', report.messages],
    ['publishes without an answer', report.unsure],
    ['deliveries', report.deliveries],
    ...Object.entries(report.faults).map(([kind, count]): [string, number] => [`fault: ${kind}`, count]),
    ['lost', report.lost],
    ['duplicated', report.duplicated],
    ['out of order', report.outOfOrder],
    ['gaps though another node had the messages', report.gapsCovered],
    ['gaps for messages that no node received', report.gapsUncovered],
    ['deliveries missed in those gaps', report.missed],
    ['channels without a copy after two seconds', report.copiedLate],
    ['interruptions of clients', recoveries.count],
    ['recovered in, p50 / p99 / max', spread(recoveries)],
    ['all clients recovered after a fault in, p50 / p99 / max', spread(report.settling)],
    ['delivered in, p50 / p99 / max', spread(latency)],
  ]
  const shown = rows.map(([name, value]) => [
    name,
    typeof value === 'number' ? value.toLocaleString('en') : value,
  ])
  const width = Math.max(...shown.map(([name]) => name!.length))
  return [title, ...shown.map(([name, value]) => `  ${name!.padEnd(width)}  ${value}`)].join('\n')
}

/** The missing messages between two messages, and after the last one. */
function holes(record: RecordData, publisher: NumberedPublisher) {
  const end = (publisher.lastNumbers[record.channel] ?? 0) + 1
  const tail = {
    after: record.last,
    to: end,
    gap: record.endsWithGap ? ('node' as const) : null,
    at: Date.now(),
  }
  return [...record.jumps, tail]
}

function published(publisher: NumberedPublisher, channel: string, after: number, to: number): number {
  let count = 0
  for (let number = after + 1; number < to; number++) if (publisher.wasPublished(channel, number)) count += 1
  return count
}

function distribution(values: readonly number[]): Distribution {
  const sorted = [...values].sort((a, b) => a - b)
  const at = (part: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0
  return { count: sorted.length, p50: at(0.5), p99: at(0.99), max: sorted.at(-1) ?? 0 }
}

function histogram(counts: readonly number[]): Distribution {
  const count = counts.reduce((sum, n) => sum + n, 0)
  const at = (part: number) => {
    let seen = 0
    return Math.max(
      0,
      counts.findIndex((n) => (seen += n) > count * part),
    )
  }
  return {
    count,
    p50: at(0.5),
    p99: at(0.99),
    max: Math.max(
      0,
      counts.findLastIndex((n) => n > 0),
    ),
  }
}

function spread({ count, p50, p99, max }: Distribution): string {
  return count === 0
    ? '-'
    : `${[p50, p99, max].map((ms) => Math.round(ms).toLocaleString('en')).join(' / ')} ms`
}

function inWords({ number, last, at }: Repeated): string {
  return `${number} after ${last}, at ${time(at)}`
}

function time(at: number): string {
  return new Date(at).toISOString().slice(11, 23)
}
