import type { BroadcasterOptions } from '@broadcaster/server'
import { expect } from 'vitest'
import { replayOf } from '../conformance/suite/positions.ts'
import { signIn } from '../support/connect.ts'
import { channelName } from '../support/names.ts'
import { startNodes, type TestCluster } from '../support/server.ts'
import { tidy } from '../support/tidy.ts'
import { works } from '../support/works.ts'

/**
 * Starts two nodes on this Redis. Checks that messages arrive over both transports, and that a client which changes to the
 * other node gets there what it missed.
 */
export async function worksOnTwoNodes(redis: BroadcasterOptions['redis'] & {}): Promise<TestCluster> {
  const cluster = tidy(await startNodes(2, { redis }))
  await works(cluster)
  const [one, two] = cluster.nodes
  const channel = channelName()
  const come = () => ({ transport: 'websocket', auth: { __v: 1 } }) as const
  const alice = await signIn(one!, come())
  const { position } = await alice.subscribe(channel)
  await one!.publish(channel, 'missed')
  await alice.next()
  const again = await signIn(two!, come())
  const answer = await again.subscribe(channel, { position })
  expect(answer).toMatchObject({ __type: 'subscribeOk', recovered: true })
  expect(replayOf(answer)).toEqual(['missed'])
  return cluster
}
