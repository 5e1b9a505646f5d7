import { Redis, type ClusterOptions } from 'ioredis'
import { startRedis, type TestRedis } from './redis.ts'
import { freePort } from './redisServer.ts'
import { tcpProxy, type TcpProxy } from './tcpProxy.ts'
import { until } from './waiting.ts'

const MASTERS = 3
const SLOTS = 16_384

/** One server of the cluster. */
export type Member = {
  readonly redis: TestRedis
  /** The id of the server in the cluster. */
  readonly id: string
  readonly busPort: number
  /** Our clients connect to the server through this proxy. The servers connect to each other directly. */
  readonly proxy: TcpProxy
  /** Sends a command to the server directly. A process of `redis-cli` for each would take most of the time. */
  ask(...command: readonly string[]): Promise<unknown>
  stop(): Promise<void>
}

/** A real Redis Cluster of three masters with one replica each. */
export type TestRedisCluster = {
  readonly members: readonly Member[]
  /** The addresses with which a client begins. */
  readonly nodes: readonly { readonly host: string; readonly port: number }[]
  /** With this option, a client reaches every server through its proxy. */
  readonly natMap: NonNullable<ClusterOptions['natMap']>
  /** The master that owns the slot of the key, as most servers see it. */
  owner(key: string): Promise<Member>
  /** A master that does not own the slot of the key. */
  stranger(key: string): Promise<Member>
  /** A replica of the master. */
  replicaOf(master: Member): Promise<Member>
  /** A planned failover of the master to its replica. Resolves with the new master, when all servers agree. */
  failOver(master: Member): Promise<Member>
  /** Kills the master. Resolves with the new master, when all other servers agree. */
  kill(master: Member): Promise<Member>
  /** Stops the process of the master with SIGSTOP. Resolves with the new master, when all other servers agree. */
  freeze(master: Member): Promise<Member>
  /** Takes the master out of the Cluster. Its process and its clients remain. Resolves with the new master. */
  expel(master: Member): Promise<Member>
  /** Starts a killed server again, or continues a frozen one. It becomes a replica. Resolves when it is in sync. */
  revive(member: Member): Promise<void>
  /** Moves the slot of the key to another master, with its keys, as `redis-cli --cluster reshard` does. */
  moveSlot(key: string, to: Member): Promise<void>
  /** Moves slots of one master to another one, one after the other. Resolves when all servers agree. */
  moveSlots(slots: readonly number[], from: Member, to: Member): Promise<void>
  /** The masters that own slots, in the order of their lowest slots. */
  masters(): Promise<Member[]>
  /** The slots that the server says it owns, in ascending order. */
  slots(of: Member): Promise<number[]>
  /** The slot of the key. */
  slotOf(key: string): Promise<number>
  /** Resolves when all servers that run agree, and the replicas are in sync. */
  settled(): Promise<void>
  stop(): Promise<void>
}

export type RedisClusterOptions = {
  /** How long a master may be away before its replica replaces it. */
  readonly nodeTimeoutMs?: number
  readonly password?: string
  /** The command of another server than the installed `redis-server`. */
  readonly program?: readonly string[]
}

export async function startRedisCluster(options: RedisClusterOptions = {}): Promise<TestRedisCluster> {
  const members = await Promise.all(Array.from({ length: 2 * MASTERS }, () => startMember(options)))
  const masters = members.slice(0, MASTERS)
  /** The servers that do not answer. */
  const dead = new Set<Member>()
  const frozen = new Set<Member>()
  const living = (): Member[] => members.filter((member) => !dead.has(member))

  await Promise.all(
    masters.map((member, i) => {
      const [from, to] = [i, i + 1].map((n) => Math.floor((n * SLOTS) / MASTERS))
      return member.ask('CLUSTER', 'ADDSLOTSRANGE', String(from), String(to! - 1))
    }),
  )
  // Different epochs from the start, so that the servers need no time to make them different.
  await Promise.all(members.map((member, i) => member.ask('CLUSTER', 'SET-CONFIG-EPOCH', String(i + 1))))
  // Each server meets each other one, because to hear of one another takes seconds.
  await Promise.all(
    members.flatMap((member, i) =>
      members
        .slice(i + 1)
        .map((other) =>
          member.ask('CLUSTER', 'MEET', '127.0.0.1', String(other.redis.port), String(other.busPort)),
        ),
    ),
  )
  await until('the servers to know each other', async () => {
    const views = await Promise.all(members.map((member) => member.ask('CLUSTER', 'NODES')))
    return views
      .map(String)
      .every((text) => members.every(({ id }) => text.includes(id)) && !text.includes('handshake'))
  })
  await Promise.all(
    members.slice(MASTERS).map((member, i) => member.ask('CLUSTER', 'REPLICATE', masters[i]!.id)),
  )

  const view = async (member: Member): Promise<Line[]> =>
    String(await member.ask('CLUSTER', 'NODES'))
      .trim()
      .split('\n')
      .map(parseLine)
  const memberOf = (id: string): Member => members.find((member) => member.id === id)!
  const slotOf = async (key: string): Promise<number> =>
    Number(await living()[0]!.ask('CLUSTER', 'KEYSLOT', key))

  /** What every living server says of the owner of a slot. */
  const ownersOf = async (slot: number): Promise<(string | undefined)[]> => {
    const views = await Promise.all(living().map(view))
    return views.map((lines) => lines.find((line) => line.isMaster && owns(line, slot))?.id)
  }

  const agree = async (slot: number, isNew: (id: string) => boolean): Promise<Member> => {
    const id = await until(
      'all servers to agree on the owner of the slot',
      async () => {
        const owners = new Set(await ownersOf(slot))
        const [owner] = owners
        return owners.size === 1 && owner !== undefined && isNew(owner) && owner
      },
      { ms: 60_000 },
    )
    return memberOf(id as string)
  }

  const owner = async (key: string): Promise<Member> => agree(await slotOf(key), () => true)

  /** Some slot of the master, by which its successor is recognized. */
  const someSlotOf = async (master: Member): Promise<number> => {
    const { ranges } = (await view(master)).find(({ id }) => id === master.id)!
    return ranges[0]![0]
  }

  const settled = async (): Promise<void> => {
    await until(
      'the cluster to settle',
      async () => {
        const states = await Promise.all(
          living().map(async (member) => {
            const info = String(await member.ask('CLUSTER', 'INFO'))
            const replication = String(await member.ask('INFO', 'replication'))
            return info.includes('cluster_state:ok') && !replication.includes('master_link_status:down')
          }),
        )
        return states.every(Boolean)
      },
      { ms: 60_000 },
    )
  }
  await settled()
  for (let slot = 0; slot < SLOTS; slot += Math.floor(SLOTS / MASTERS) + 1) await agree(slot, () => true)

  const replace = async (master: Member, end: () => Promise<void>): Promise<Member> => {
    const slot = await someSlotOf(master)
    dead.add(master)
    await end()
    return agree(slot, (id) => id !== master.id)
  }

  const slots = async (of: Member): Promise<number[]> => {
    const { ranges } = (await view(of)).find(({ id }) => id === of.id)!
    return ranges.flatMap(([from, to]) => Array.from({ length: to - from + 1 }, (_, i) => from + i))
  }
  const moveSlots = async (moved: readonly number[], from: Member, to: Member): Promise<void> => {
    for (const slot of moved.map(String)) {
      await to.ask('CLUSTER', 'SETSLOT', slot, 'IMPORTING', from.id)
      await from.ask('CLUSTER', 'SETSLOT', slot, 'MIGRATING', to.id)
      for (;;) {
        const keys = (await from.ask('CLUSTER', 'GETKEYSINSLOT', slot, '100')) as string[]
        if (keys.length === 0) break
        await from.ask('MIGRATE', '127.0.0.1', String(to.redis.port), '', '0', '5000', 'KEYS', ...keys)
      }
      await to.ask('CLUSTER', 'SETSLOT', slot, 'NODE', to.id)
      await from.ask('CLUSTER', 'SETSLOT', slot, 'NODE', to.id)
    }
    await agree(moved.at(-1)!, (id) => id === to.id)
  }

  const natMap = Object.fromEntries(
    members.map(({ redis, proxy }) => [`127.0.0.1:${redis.port}`, { host: '127.0.0.1', port: proxy.port }]),
  )
  const replicaOf = async (master: Member): Promise<Member> => {
    const id = await until(
      'a replica',
      async () =>
        (await view(living()[0]!)).find((line) => line.masterId === master.id && !dead.has(memberOf(line.id)))
          ?.id,
    )
    return memberOf(id!)
  }
  return {
    members,
    nodes: members.map(({ proxy }) => ({ host: '127.0.0.1', port: proxy.port })),
    natMap,
    owner,
    stranger: async (key) => {
      const it = await owner(key)
      return memberOf(
        (await view(it)).find(({ isMaster, id, ranges }) => isMaster && id !== it.id && ranges.length > 0)!
          .id,
      )
    },
    replicaOf,
    failOver: async (master) => {
      const slot = await someSlotOf(master)
      const replica = await replicaOf(master)
      await until('the replica to accept the failover', async () => {
        await replica.ask('CLUSTER', 'FAILOVER')
        return until('the failover', async () => (await ownersOf(slot)).includes(replica.id), {
          ms: 6000,
        }).catch(() => false)
      })
      return agree(slot, (id) => id === replica.id)
    },
    kill: (master) =>
      replace(master, async () => {
        await master.redis.kill()
        master.proxy.cut()
      }),
    freeze: (master) =>
      replace(master, async () => {
        master.redis.pause()
        frozen.add(master)
      }),
    expel: async (master) => {
      const replica = await replicaOf(master)
      return replace(master, async () => {
        // Clients write keys all the time, and only a server without keys can be taken out.
        await until('the server to forget the others', async () => {
          const [, reset] = await Promise.allSettled([
            master.ask('FLUSHALL'),
            master.ask('CLUSTER', 'RESET', 'HARD'),
          ])
          return reset.status === 'fulfilled'
        })
        await replica.ask('CLUSTER', 'FAILOVER', 'TAKEOVER')
      })
    },
    revive: async (member) => {
      if (frozen.delete(member)) member.redis.resume()
      else await member.redis.start()
      dead.delete(member)
      await settled()
    },
    moveSlot: async (key, to) => moveSlots([await slotOf(key)], await owner(key), to),
    moveSlots,
    masters: async () => {
      const lines = (await view(living()[0]!)).filter(({ isMaster, ranges }) => isMaster && ranges.length > 0)
      return lines.sort((a, b) => a.ranges[0]![0] - b.ranges[0]![0]).map(({ id }) => memberOf(id))
    },
    slots,
    slotOf,
    settled,
    stop: async () => {
      await Promise.all(members.map((member) => member.stop()))
    },
  }
}

async function startMember({
  nodeTimeoutMs = 2000,
  password,
  program,
}: RedisClusterOptions): Promise<Member> {
  // The port of the cluster bus is the port + 10,000 by default, which may be taken.
  let busPort = 0
  const redis = await startRedis({
    ...(program !== undefined && { program }),
    args: async () => [
      '--cluster-enabled',
      'yes',
      '--cluster-node-timeout',
      String(nodeTimeoutMs),
      '--cluster-port',
      String((busPort = await freePort())),
      '--cluster-announce-ip',
      '127.0.0.1',
      // A replica may replace its master, however long it was disconnected from it.
      '--cluster-replica-validity-factor',
      '0',
      '--repl-diskless-sync-delay',
      '0',
      ...(password === undefined ? [] : ['--requirepass', password, '--masterauth', password]),
    ],
  })
  const client = new Redis({
    port: redis.port,
    host: '127.0.0.1',
    retryStrategy: () => 50,
    ...(password !== undefined && { password }),
  })
  client.on('error', () => {})
  const ask = ([name, ...args]: readonly string[]): Promise<unknown> => client.call(name!, args)
  const proxy = await tcpProxy(redis.port)
  return {
    redis,
    busPort,
    proxy,
    id: String(await ask(['CLUSTER', 'MYID'])),
    ask: (...command) => ask(command),
    stop: async () => {
      client.disconnect()
      await proxy.close()
      await redis.stop()
    },
  }
}

/** A line of CLUSTER NODES. */
type Line = {
  readonly id: string
  readonly isMaster: boolean
  readonly masterId: string
  readonly ranges: readonly (readonly [from: number, to: number])[]
}

function parseLine(text: string): Line {
  const [id, , flags, masterId, , , , , ...slots] = text.split(' ')
  const ranges = slots
    .filter((slot) => !slot.startsWith('['))
    .map((slot) => slot.split('-').map(Number))
    .map(([from, to]) => [from!, to ?? from!] as const)
  return { id: id!, isMaster: flags!.includes('master'), masterId: masterId!, ranges }
}

function owns({ ranges }: Line, slot: number): boolean {
  return ranges.some(([from, to]) => from <= slot && slot <= to)
}
