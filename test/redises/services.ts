/** What a hosted service or a proxy refuses, according to its documentation. */
export type Service = {
  /** As in the table of docs/redis.md. */
  readonly name: string
  /** Commands that it does not have. */
  readonly refused?: readonly string[]
  /** The rights of its users, as rules of ACL SETUSER. */
  readonly rights?: readonly string[]
  /** It is a Redis Cluster of one server, which is used through one address. */
  readonly isCluster?: boolean
  /** It has no other database than 0. */
  readonly hasOneDatabase?: boolean
}

const amazon = ['BGREWRITEAOF', 'BGSAVE', 'CONFIG', 'DEBUG', 'MIGRATE', 'REPLICAOF', 'SAVE', 'SHUTDOWN']
const further = ['SLAVEOF', 'SYNC', 'PSYNC', 'MODULE']
const administration = [...amazon, ...further]

export const services: readonly Service[] = [
  { name: 'Amazon ElastiCache, one shard', refused: administration },
  { name: 'Amazon ElastiCache with cluster mode, one shard', refused: administration, isCluster: true },
  { name: 'Amazon MemoryDB, one shard', refused: administration, isCluster: true, hasOneDatabase: true },
  { name: 'Azure Cache for Redis', refused: [...administration, 'ACL'] },
  {
    name: 'Redis Cloud, Redis Software, Azure Managed Redis',
    refused: [...administration, 'ACL', 'LATENCY', 'MONITOR', 'ROLE', 'FAILOVER', 'SWAPDB'],
  },
  {
    name: 'Google Memorystore',
    rights: ['+@all', '-@admin', '-@dangerous', '+info', '-client', '-hello', '-select'],
  },
  { name: 'Aiven, DigitalOcean', rights: ['+@all', '-@admin', '-@dangerous'] },
  { name: 'Upstash', refused: [...administration, 'LATENCY', 'MONITOR', 'SWAPDB'], hasOneDatabase: true },
  {
    name: 'a proxy that knows only the commands of the rule',
    refused: ['HELLO', 'CLIENT', 'INFO', 'PING', 'CONFIG', 'SELECT', 'COMMAND', 'SSUBSCRIBE', 'SPUBLISH'],
  },
]
