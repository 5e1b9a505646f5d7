import { startRedisCluster } from '../support/redisCluster.ts'
import { tidy } from '../support/tidy.ts'
import { connectionTests } from './connections.ts'
import { nodeTests } from './nodes.ts'
import { slotTests } from './slots.ts'

// All tests share a cluster, one after the other. To start one takes longer than most tests.
const cluster = tidy(await startRedisCluster())

connectionTests(cluster)
slotTests(cluster)
nodeTests(cluster)
