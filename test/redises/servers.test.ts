import { describe, expect, it } from 'vitest'
import { conformance } from '../conformance/suite.ts'
import { twoNodesOn } from '../conformance/subjects.ts'
import { Visitor } from '../recovery/visitor.ts'
import { channelName } from '../support/names.ts'
import { onlyIf } from '../support/onlyIf.ts'
import { startRedis } from '../support/redis.ts'
import { startRedisCluster } from '../support/redisCluster.ts'
import { tidy } from '../support/tidy.ts'
import { commandOf, debianServers } from './debian.ts'
import { worksOnTwoNodes } from './worksOnTwoNodes.ts'

/** With CONFORMANCE=1, the whole conformance suite runs on each server. It takes some minutes of CPU time. */
const isComplete = Boolean(process.env['CONFORMANCE'])

for (const server of debianServers) {
  const program = commandOf(server)
  const needs = `the package ${server.package} of Debian ${server.suite}, which CI=1 npm test unpacks`

  describe(server.name, onlyIf(program, needs), () => {
    it('works, with recovery on another node', async () => {
      const redis = tidy(await startRedis({ program: program! }))
      await worksOnTwoNodes(redis.url)
    })

    it('R5: a restart is a gap, and clients continue', async () => {
      const redis = tidy(await startRedis({ program: program! }))
      const { nodes } = await worksOnTwoNodes(redis.url)
      const channel = channelName()
      const visitors = await Promise.all(nodes.map(({ url }) => Visitor.come(url, channel)))
      await nodes[0]!.publish(channel, 'before')
      for (const visitor of visitors) await visitor.hears('before')
      await redis.stop()
      await redis.start()
      for (const visitor of visitors) await visitor.hears('gap: broker')
      await nodes[0]!.broadcaster.publish(channel, 'after')
      for (const visitor of visitors) {
        const heard = await visitor.hears('after')
        expect(heard.filter((item) => item !== 'gap: broker')).toEqual(['before', 'after'])
      }
    })

    if (!server.hasShardedPubSub) return
    it('works as a Cluster, and a server that is killed is a gap', async () => {
      const cluster = tidy(await startRedisCluster({ program: program! }))
      const { nodes } = await worksOnTwoNodes({ cluster: cluster.nodes, natMap: cluster.natMap })
      const channel = channelName()
      const visitors = await Promise.all(nodes.map(({ url }) => Visitor.come(url, channel)))
      await cluster.kill(await cluster.owner(channel))
      for (const visitor of visitors) await visitor.hears('gap: broker')
      await nodes[0]!.broadcaster.publish(channel, 'after')
      for (const visitor of visitors) {
        const heard = await visitor.hears('after')
        expect(heard.filter((item) => item !== 'gap: broker')).toEqual(['after'])
      }
    })
  })

  if (program !== null && isComplete)
    await conformance(twoNodesOn(server.name, () => startRedis({ program })))
}
