/** Everything that is measured, with its label in the tables and its unit. */
export const figureTable = {
  cpuPerMillion: {
    label: 'CPU s / M',
    about: 'CPU seconds of the server, user and system, for a million deliveries',
  },
  userPerMillion: { label: 'user', about: 'the part of CPU s / M in the process' },
  systemPerMillion: { label: 'sys', about: 'the part of CPU s / M in the kernel' },
  deliveriesPerSecond: {
    label: 'deliveries/s',
    about: 'deliveries a second, with generator and Redis on the same cores',
  },
  p50: { label: 'p50 ms', about: 'latency from the scheduled time of publishing, milliseconds' },
  p99: { label: 'p99', about: 'latency, 99th percentile' },
  p999: { label: 'p99.9', about: 'latency, 99.9th percentile' },
  max: { label: 'max', about: 'the longest latency' },
  kbPerConnection: {
    label: 'KB RSS / conn',
    about: 'resident memory of the server for each connection, without the kernel',
  },
  heapKbPerConnection: {
    label: 'KB heap / conn',
    about: 'heap of the server for each connection after a garbage collection (Node only)',
  },
  connectsPerSecond: { label: 'connects/s', about: 'connections that connected and subscribed, a second' },
  cpuMsPerConnect: {
    label: 'CPU ms / connect',
    about: 'CPU milliseconds of the server for connect and subscribe',
  },
  userMsPerConnect: { label: 'user', about: 'of it in the process' },
  redisMsPerConnect: { label: 'Redis ms', about: 'CPU milliseconds of Redis for connect and subscribe' },
  subscribedP50: {
    label: 'p50 ms',
    about: 'milliseconds from the attempt to connect until subscribed, median of the clients',
  },
  subscribedP99: { label: 'p99', about: 'the same, 99th percentile' },
  rssMb: { label: 'RSS MB', about: 'resident memory of the server at the end, MB' },
  rssGrowthMb: {
    label: 'RSS growth MB',
    about: 'peak of the resident memory of the server, minus that before the load',
  },
  kbPerIdleChannel: {
    label: 'KB / idle channel',
    about: 'heap of the server for a channel without messages',
  },
  kbPerFullChannel: {
    label: 'KB / channel in use',
    about: "heap of the server for a channel with the case's messages in its log",
  },
  cpuUsPerPoll: {
    label: 'CPU us / poll',
    about: 'CPU microseconds of the server, user and system, for a poll with its share of the messages',
  },
  scriptsPerPoll: { label: 'scripts / poll', about: 'scripts that Redis ran for each poll' },
  redisBytesPerPoll: {
    label: 'Redis bytes / poll',
    about: 'bytes that Redis received and sent for each poll, with the messages',
  },
  pollsPerDelivery: { label: 'polls / delivery', about: 'HTTP exchanges for each delivery' },
  compressedShare: { label: 'compressed', about: 'share of the sockets whose messages came compressed' },
  backSeconds: { label: 'all back s', about: 'seconds until the last client was subscribed again' },
  backP50: {
    label: 'back p50 ms',
    about:
      'milliseconds from the first attempt of any client until a client was subscribed, median of the clients',
  },
  backP99: { label: 'back p99 ms', about: 'as back p50 ms, 99th percentile' },
  cpuMsPerClient: {
    label: 'CPU ms / client',
    about: 'CPU milliseconds of the servers for each client that came back',
  },
  recovered: {
    label: 'recovered',
    about: 'share of the clients that the server told that no message is missing',
  },
  gaps: { label: 'gaps told', about: 'gaps of which the server told a client' },
  cutOff: { label: 'cut off', about: 'slow connections that the server closed' },
  redisPerMillion: { label: 'Redis CPU s / M', about: 'CPU seconds of Redis for a million deliveries' },
  redisBytesPerSubscribe: {
    label: 'Redis bytes / sub',
    about: 'bytes that Redis sent for each subscription, to all nodes together',
  },
  redisCpuUsPerSubscribe: {
    label: 'Redis CPU us / sub',
    about: 'CPU microseconds of Redis, user and system, for each subscription',
  },
  redisBytesPerMessage: {
    label: 'Redis bytes / msg',
    about: 'bytes that Redis sent for each message, to all nodes together',
  },
  redisCpuUsPerMessage: {
    label: 'Redis CPU us / msg',
    about: 'CPU microseconds of Redis, user and system, for each message',
  },
  redisBytesPerSecond: {
    label: 'Redis bytes / idle s',
    about: 'bytes that Redis sent in a second to all nodes together, while nothing happened',
  },
  publishesPerSubscribe: { label: 'publishes / sub', about: 'messages published for each subscription' },
  generatorLoad: {
    label: 'generator cores',
    about: 'cores that the generator used. Near 1, it slows the peer down',
  },
  serverLoad: { label: 'server cores', about: 'cores that the server used' },
  lost: { label: 'lost', about: 'deliveries that did not arrive' },
  disorder: { label: 'disorder', about: 'deliveries that arrived twice or out of order' },
} satisfies Record<string, { label: string; about: string }>

export type Figure = keyof typeof figureTable
export type Figures = Partial<Record<Figure, number>>

/** The figures of one run of one peer. */
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
