import { conformance } from './suite.ts'
import { redisCluster } from './subjects.ts'

await conformance(redisCluster)
