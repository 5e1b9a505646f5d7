/** Loopback addresses, so that limits for each address do not hide the limits behind them. Linux serves all of 127.0.0.0/8. */
export function localAddress(number: number): string {
  return `127.1.${Math.floor(number / 250) % 250}.${(number % 250) + 1}`
}
