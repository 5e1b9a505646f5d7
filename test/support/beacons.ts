/** The distance of two beacon numbers that are 1 ms apart. */
export const BEACONS_PER_MS = 8192
const EPOCH_MS = Date.UTC(2024, 0, 1)

/** The number of a beacon at this time, of run 0. */
export function beaconAt(ms: number): number {
  return (ms - EPOCH_MS) * BEACONS_PER_MS
}

export function timeOfBeacon(number: number): number {
  return Math.floor(number / BEACONS_PER_MS) + EPOCH_MS
}

/** A position of the same run of Redis, an hour earlier: before every beacon that a node of a test has received. */
export function earlierThan(position: string, by = 0): string {
  const [beacon] = position.split('.')
  return `${(Number.parseInt(beacon!, 36) - BEACONS_PER_MS * (3_600_000 + by)).toString(36)}.0`
}
