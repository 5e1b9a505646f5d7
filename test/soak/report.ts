import type { Memory } from '../support/memory.ts'
import type { Look } from './applicationMain.ts'
import type { AttackCounts, Attackers } from './attacker.ts'
import type { HealthyClient } from '../support/healthyClient.ts'
import type { Visitor } from './healthy.ts'
import type { Publishing } from './publishing.ts'

export type Report = AttackCounts & {
  readonly seed: number
  readonly seconds: number
  /** The time until a failure that ended the run, or `null`. */
  readonly secondsToBreach: number | null
  /** The number of messages on other channels than that of the healthy clients. */
  readonly noise: number
  readonly published: number
  /** The deliveries to healthy clients. */
  readonly deliveries: number
  readonly reconnections: number
  readonly pagesAnswered: number
  readonly longestPageMs: number
  /** The memory after the warm-up and at the end. */
  readonly memory: readonly Memory[]
  readonly logged: Readonly<Record<string, number>>
  /** The failures. */
  readonly breaches: readonly string[]
  /** What helps to find the cause of failures: the last attacks, and the output of the process. */
  readonly evidence: string
}

export type Outcome = {
  readonly seed: number
  readonly seconds: number
  readonly secondsToBreach: number | null
  readonly attackers: Attackers
  readonly healthy: readonly HealthyClient[]
  /** Whether the healthy clients have had the time to receive everything. */
  readonly isWhole: boolean
  readonly visitor: Visitor
  readonly publishing: Publishing
  readonly memory: readonly Memory[]
  /** How much the heap may have grown, in bytes. */
  readonly margin: number
  /** The last state of the application, or `null` if it has ended. */
  readonly look: Look | null
  readonly death: string | null
  readonly output: string
  /** The failure that ended the run early. */
  readonly breach: string | null
}

export function asReport(outcome: Outcome): Report {
  const { attackers, healthy, visitor, publishing, memory, margin, look, death, output } = outcome
  const breaches = [...new Set([death, outcome.breach].filter((breach) => breach !== null))]
  for (const fault of look?.faults ?? []) breaches.push(`A fault of ours: ${fault}`)
  for (const warning of look?.warnings ?? []) breaches.push(`A warning: ${warning}`)
  if (death === null) breaches.push(...visitor.complaints, ...healthy.flatMap(({ complaints }) => complaints))
  if (outcome.isWhole) breaches.push(...healthy.flatMap(({ record }) => missed(record.data, publishing.last)))
  const [before, after] = memory
  if (before !== undefined && after !== undefined && after.heap > before.heap + margin) {
    breaches.push(`The heap has grown from ${mib(before.heap)} to ${mib(after.heap)}`)
  }
  return {
    ...attackers.counts,
    seed: outcome.seed,
    seconds: outcome.seconds,
    secondsToBreach: outcome.secondsToBreach,
    noise: publishing.noise,
    published: publishing.last,
    deliveries: healthy.reduce((sum, { record }) => sum + record.last, 0),
    reconnections: healthy.reduce((sum, { reconnections }) => sum + reconnections, 0),
    pagesAnswered: visitor.answered,
    longestPageMs: visitor.longestMs,
    memory,
    logged: look?.logged ?? {},
    breaches,
    evidence: `The last attacks:\n${attackers.recent.join('\n')}\n\nThe application's output:\n${output}`,
  }
}

function missed(
  { client, last, jumps, gaps, duplicated, outOfOrder }: HealthyClient['record']['data'],
  published: number,
): string[] {
  return [
    ...(last < published ? [`${client} heard up to ${last} of ${published}`] : []),
    ...jumps.map(({ after, to }) => `${client} heard nothing between ${after} and ${to}`),
    ...gaps.map(({ reason, after }) => `${client} was told of a gap (${reason}) after ${after}`),
    ...[...duplicated, ...outOfOrder].map(({ number, last }) => `${client} heard ${number} after ${last}`),
  ]
}

/** A log line may be long. */
const LONGEST_NAME = 100

export function table(title: string, report: Report): string {
  const { memory } = report
  const rows: [string, string | number][] = [
    ['attackers’ connections', report.connections],
    ['bytes sent by them', report.bytesSent],
    ...named('attack', report.attacks),
    ...named('ended by', report.endings),
    ...named('answered with', report.answers),
    ['messages on other channels', report.noise],
    ['messages for healthy clients', report.published],
    ['deliveries to healthy clients', report.deliveries],
    ['reconnections of healthy clients', report.reconnections],
    ['pages answered meanwhile', report.pagesAnswered],
    ['longest wait for one', `${Math.round(report.longestPageMs)} ms`],
    ...(['heap', 'external', 'resident'] as const).map((kind): [string, string] => [
      `memory: ${kind}`,
      memory.map((measured) => mib(measured[kind])).join(' → '),
    ]),
    ...named('logged:', report.logged),
  ]
  const shown = rows.map(([name, value]) => [
    name.length > LONGEST_NAME ? `${name.slice(0, LONGEST_NAME)}…` : name,
    typeof value === 'number' ? value.toLocaleString('en') : value,
  ])
  const width = Math.max(...shown.map(([name]) => name!.length))
  return [title, ...shown.map(([name, value]) => `  ${name!.padEnd(width)}  ${value}`)].join('\n')
}

function named(what: string, counts: Readonly<Record<string, number>>): [string, number][] {
  return Object.entries(counts).map(([name, count]) => [`${what} ${name}`, count])
}

function mib(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(1)} MiB`
}
