/**
 * A position in the total order that all nodes share: the last beacon, and the number of messages of the channel since
 * that beacon. A log entry is itself a position, so numbering a message needs no further allocation.
 */
export interface Position {
  readonly beacon: number
  readonly count: number
}

/** A copy of the position. It does not keep a whole entry in memory. */
export function positionOf({ beacon, count }: Position): Position {
  return { beacon, count }
}

/**
 * The number of different runs of a broker. The run is in the low part of a beacon's number, and the ms since
 * {@link EPOCH_MS} are above it. Such numbers are exact in Redis and in JavaScript until the year 2058.
 */
export const RUNS = 8192
/** 2024-01-01, in ms since 1970. */
export const EPOCH_MS = 1_704_067_200_000

/**
 * Makes the number of a beacon from a time and the run of the broker. Numbers increase within a run. The order of
 * numbers of two runs is unknown (a restart may lose the last number, a failover may change the clock), so they are not
 * compared.
 */
export function makeBeacon(ms: number, run: number): number {
  return (ms - EPOCH_MS) * RUNS + (run % RUNS)
}

export function timeOfBeacon(beacon: number): number {
  return Math.floor(beacon / RUNS) + EPOCH_MS
}

/** Whether two beacons are of the same run of the broker. To compare the runs of two positions, pass their beacons. */
export function isSameRun(a: number, b: number): boolean {
  return a % RUNS === b % RUNS
}

/**
 * Returns a negative number if `a` is before `b`, 0 if they are equal, a positive number if `a` is after `b`. Both must
 * be of the same run.
 */
export function comparePositions(a: Position, b: Position): number {
  return a.beacon - b.beacon || a.count - b.count
}

let formattedBeacon = 0
let beaconText = '0'

/** The position in the wire format: two numbers in base 36. */
export function formatPosition({ beacon, count }: Position): string {
  // The text of the beacon is cached: there may be thousands of messages between two beacons, and formatting a large
  // number is slow.
  if (beacon !== formattedBeacon) {
    formattedBeacon = beacon
    beaconText = beacon.toString(36)
  }
  return `${beaconText}.${count.toString(36)}`
}

const PATTERN = /^([0-9a-z]{1,11})\.([0-9a-z]{1,11})$/

/** Parses the wire format. Returns `null` for a text that no server of this kind has made. */
export function parsePosition(text: string): Position | null {
  const match = PATTERN.exec(text)
  if (match === null) return null
  const beacon = Number.parseInt(match[1]!, 36)
  const count = Number.parseInt(match[2]!, 36)
  return Number.isSafeInteger(beacon) && Number.isSafeInteger(count) ? { beacon, count } : null
}
