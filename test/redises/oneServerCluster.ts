import { startRedis, type TestRedis } from '../support/redis.ts'
import { freePort } from '../support/redisServer.ts'
import { until } from '../support/waiting.ts'

/** A Redis Cluster of one server that owns all slots, as hosted services have with one shard. */
export async function startOneServerCluster(args: readonly string[] = []): Promise<TestRedis> {
  const redis = await startRedis({
    args: async () => [
      '--cluster-enabled',
      'yes',
      '--cluster-port',
      String(await freePort()),
      '--cluster-announce-ip',
      '127.0.0.1',
      ...args,
    ],
  })
  await redis.cli('CLUSTER', 'ADDSLOTSRANGE', '0', '16383')
  await until('the Cluster to work', async () =>
    (await redis.cli('CLUSTER', 'INFO')).includes('cluster_state:ok'),
  )
  return redis
}
