/** Everything that is measured, with its unit and how the tables call it. */
export const figureTable = {
  cpuPerMillion: {
    label: 'CPU s / M',
    about: 'CPU seconds of the server, user and system, for a million deliveries',
  },
  userPerMillion: { label: 'user', about: 'of it in the process' },
  systemPerMillion: { label: 'sys', about: 'of it in the kernel' },
  deliveriesPerSecond: {
    label: 'deliveries/s',
    about: 'deliveries a second, generator and Redis on the same cores',
  },
  p50: { label: 'p50 ms', about: 'latency from the scheduled time of publishing, milliseconds' },
  p99: { label: 'p99', about: 'the same, 99th percentile' },
  p999: { label: 'p99.9', about: 'the same, 99.9th percentile' },
  max: { label: 'max', about: 'the same, the worst' },
  kbPerConnection: {
    label: 'KB RSS / conn',
    about: 'resident memory of the server for each connection, without the kernel',
  },
  heapKbPerConnection: {
    label: 'KB heap / conn',
    about: 'of it held after a garbage collection (Node only)',
  },
  connectsPerSecond: { label: 'connects/s', about: 'connections a second, subscribed' },
  cpuMsPerConnect: {
    label: 'CPU ms / connect',
    about: 'CPU milliseconds of the server for connect and subscribe',
  },
  rssMb: { label: 'RSS MB', about: 'resident memory of the server at the end, MB' },
  rssGrowthMb: {
    label: 'RSS growth MB',
    about: 'how much more resident memory the server had at its peak than before',
  },
  kbPerIdleChannel: {
    label: 'KB / idle channel',
    about: 'heap of the server for a channel without messages',
  },
  kbPerFullChannel: {
    label: 'KB / channel in use',
    about: "the same for a channel with the case's messages in its log",
  },
  pollsPerDelivery: { label: 'polls / delivery', about: 'HTTP exchanges for each delivery' },
  compressedShare: { label: 'compressed', about: 'share of the sockets whose messages came compressed' },
  backSeconds: { label: 'all back s', about: 'seconds until the last client was subscribed again' },
  backP50: {
    label: 'back p50 ms',
    about: 'milliseconds from the first attempt of all to subscribed, median of the clients',
  },
  backP99: { label: 'back p99 ms', about: 'the same, 99th percentile' },
  cpuMsPerClient: {
    label: 'CPU ms / client',
    about: 'CPU milliseconds of the servers for each client that came back',
  },
  recovered: { label: 'recovered', about: 'share of the clients that were told that nothing is missing' },
  gaps: { label: 'gaps told', about: 'gaps that clients were told of' },
  cutOff: { label: 'cut off', about: 'slow connections that the server closed' },
  redisPerMillion: { label: 'Redis CPU s / M', about: 'CPU seconds of Redis for a million deliveries' },
  generatorLoad: {
    label: 'generator cores',
    about: 'cores that the generator used; near 1 it holds up the peer',
  },
  serverLoad: { label: 'server cores', about: 'cores that the server used' },
  lost: { label: 'lost', about: 'deliveries that never came' },
  disorder: { label: 'disorder', about: 'deliveries that came twice or out of order' },
} satisfies Record<string, { label: string; about: string }>

export type Figure = keyof typeof figureTable
export type Figures = Partial<Record<Figure, number>>

/** What one run of one peer measured. */
export type Sample = {
  readonly scenario: string
  readonly case: string
  readonly peer: string
  /** From 1. */
  readonly round: number
  readonly figures: Figures
}

export type Summary = {
  readonly median: number
  readonly min: number
  readonly max: number
  readonly rounds: number
}

export function summarize(values: readonly number[]): Summary | undefined {
  if (values.length === 0) return undefined
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length / 2
  const median =
    sorted.length % 2 === 1 ? sorted[Math.floor(middle)]! : (sorted[middle - 1]! + sorted[middle]!) / 2
  return { median, min: sorted[0]!, max: sorted.at(-1)!, rounds: sorted.length }
}

/** The figure of a peer in a case, over all rounds. */
export function summaryOf(
  samples: readonly Sample[],
  peer: string,
  caseName: string,
  figure: Figure,
): Summary | undefined {
  const values = samples
    .filter((sample) => sample.peer === peer && sample.case === caseName)
    .map((sample) => sample.figures[figure])
  return summarize(values.filter((value) => value !== undefined))
}

/** Three significant digits, thousands with commas. */
export function formatNumber(value: number): string {
  if (value === 0) return '0'
  const size = Math.abs(value)
  if (size >= 1000) return Math.round(value).toLocaleString('en-US')
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : size >= 0.1 ? 2 : 3)
}

export function formatSummary({ median, min, max }: Summary): string {
  const range = [formatNumber(min), formatNumber(max)]
  return range[0] === range[1] ? range[0]! : `${formatNumber(median)} (${range.join('–')})`
}
