/** ms since the process started, whole. It never goes back, whatever is done to the clock of the machine. */
export function monotonicMs(): number {
  return Math.floor(performance.now())
}
