/**
 * A place in the one order that all nodes see: the last beacon, and how many messages the channel has had since.
 * A log entry is itself a position, so that numbering a message allocates nothing more.
 */
export interface Position {
  readonly beacon: number
  readonly count: number
}

/** A copy, for those who keep the position and not the entry. */
export function positionOf({ beacon, count }: Position): Position {
  return { beacon, count }
}

/** How many runs of a broker can be told apart, in the low part of a beacon's number; above it are ms. */
const RUNS = 1024

/**
 * A beacon's number: a time, and the run of the broker that it was made in. Within a run numbers go up. Of those of two runs
 * nobody can know which came first (a restart may lose the last number, and a failover the clock), so they are not
 * compared.
 */
export function makeBeacon(ms: number, run: number): number {
  return ms * RUNS + (run % RUNS)
}

export function timeOfBeacon(beacon: number): number {
  return Math.floor(beacon / RUNS)
}

/** Whether two beacons are of the same run of the broker; or two positions, by their beacons. */
export function isSameRun(a: number, b: number): boolean {
  return a % RUNS === b % RUNS
}

/** Negative if `a` is before `b`, 0 if they are the same place, positive if it is after. Only within a run. */
export function comparePositions(a: Position, b: Position): number {
  return a.beacon - b.beacon || a.count - b.count
}

let formattedBeacon = 0
let beaconText = '0'

/** As it travels on the wire: two numbers in base 36. */
export function formatPosition({ beacon, count }: Position): string {
  // Messages come by the thousand between two beacons, and such large numbers are slow to format.
  if (beacon !== formattedBeacon) {
    formattedBeacon = beacon
    beaconText = beacon.toString(36)
  }
  return `${beaconText}.${count.toString(36)}`
}

const PATTERN = /^([0-9a-z]{1,11})\.([0-9a-z]{1,11})$/

/** The reverse; `null` for what no server of this kind has made. */
export function parsePosition(text: string): Position | null {
  const match = PATTERN.exec(text)
  if (match === null) return null
  const beacon = Number.parseInt(match[1]!, 36)
  const count = Number.parseInt(match[2]!, 36)
  return Number.isSafeInteger(beacon) && Number.isSafeInteger(count) ? { beacon, count } : null
}
