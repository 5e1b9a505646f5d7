import { until } from '../support/waiting.ts'
import type { ApplicationProcess } from './applicationProcess.ts'
import type { Look } from './applicationMain.ts'
import type { Attackers } from './attacker.ts'
import type { HealthyClient } from '../support/healthyClient.ts'
import { HEALTHY_CHANNEL } from './publishing.ts'

/** The time limit for the server to expire sessions, release channels and notice dead sockets on a busy machine. */
const PATIENCE_MS = 60_000

/** Resolves when only healthy clients are connected, and the server holds nothing for other clients. */
export async function becomesIdle(
  application: ApplicationProcess,
  healthy: readonly HealthyClient[],
  attackers: Attackers,
): Promise<void> {
  let left: string[] = []
  const isIdle = async () => {
    const look = await application.look()
    left = [...busyBroadcasters(look, healthy), ...openSockets(look, attackers)]
    return left.length === 0
  }
  try {
    await until('all clients but the healthy ones to be gone', isIdle, { ms: PATIENCE_MS, everyMs: 500 })
  } catch (error) {
    throw new Error(`${(error as Error).message}. Still there:\n${left.join('\n')}`, { cause: error })
  }
}

function busyBroadcasters({ stats }: Look, healthy: readonly HealthyClient[]): string[] {
  const count = (path: string) => healthy.filter(({ record }) => record.client.endsWith(path)).length
  const expected = { live: count('/live'), memory: count('/memory'), routed: 0, small: 0 }
  return Object.entries(stats).flatMap(([name, { connections, localSubscriptions, node }]) => {
    const clients = expected[name as keyof typeof expected]
    const channels = Object.keys(localSubscriptions).filter((channel) => channel !== HEALTHY_CHANNEL)
    const isBusy = connections > clients || channels.length > 0 || node.channels > Math.min(1, clients)
    return isBusy ? [`${name}: ${connections} clients, ${JSON.stringify({ localSubscriptions, node })}`] : []
  })
}

function openSockets({ strangers }: Look, attackers: Attackers): string[] {
  return strangers.flatMap(({ port, asked }) => {
    // A socket without a request may be of a healthy client, so only sockets of known attacks count.
    const from = attackers.from(port)
    return from === null ? [] : [`a socket that asked for ${asked}, of attack ${from}`]
  })
}
