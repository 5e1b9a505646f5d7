import type { TransportName } from '@broadcaster/client'
import { healthyClient, type HealthyClient } from '../support/healthyClient.ts'

export const HONEST_CHANNEL = 'honest'

/** A client that follows the rules. It has to get every message without a long delay. */
export type Honest = HealthyClient & {
  /** The times from `PUBLISH` to the handler, in ms. */
  readonly latencies: readonly number[]
}

export async function honestClient(url: string, mode: TransportName): Promise<Honest> {
  const latencies: number[] = []
  const read = (body: string): number => {
    const { n, at } = JSON.parse(body) as { n: number; at: number }
    latencies.push(Date.now() - at)
    return n
  }
  return Object.assign(await healthyClient(url, { mode, channel: HONEST_CHANNEL, read }), { latencies })
}
