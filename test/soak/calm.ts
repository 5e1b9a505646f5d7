import { until } from '../support/waiting.ts'
import type { ApplicationProcess } from './applicationProcess.ts'
import type { Look } from './applicationMain.ts'
import type { Attackers } from './attacker.ts'
import type { HealthyClient } from './healthy.ts'
import { HEALTHY_CHANNEL } from './publishing.ts'

/** For sessions to expire, channels to be let go, and dead sockets to be noticed, on a busy machine. */
const PATIENCE_MS = 60_000

/** Resolves when nobody is there any more but the healthy, and nothing is held but for them. */
export async function becomesCalm(
  application: ApplicationProcess,
  healthy: readonly HealthyClient[],
  attackers: Attackers,
): Promise<void> {
  let left: string[] = []
  const isCalm = async () => {
    const look = await application.look()
    left = [...busyBroadcasters(look, healthy), ...openSockets(look, attackers)]
    return left.length === 0
  }
  try {
    await until('all but the healthy to be gone', isCalm, { ms: PATIENCE_MS, everyMs: 200 })
  } catch (error) {
    throw new Error(`${(error as Error).message}. There are:\n${left.join('\n')}`, { cause: error })
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
    // One that has asked for nothing yet may be of a healthy client.
    const from = attackers.from(port)
    return from === null ? [] : [`a socket that asked for ${asked}, of attack ${from}`]
  })
}
