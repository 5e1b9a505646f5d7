import type { Scenario } from '../harness/scenario.ts'
import { cpuSecondsOf } from '../harness/session.ts'

type ConnectCase = {
  readonly name: string
  readonly sockets: number
  readonly hasOwnChannels: boolean
  readonly inFlight: number
}

const casesOf = (sockets: number): ConnectCase[] => {
  const name = `${sockets.toLocaleString('en-US')} sockets`
  return [
    { name, sockets, hasOwnChannels: false, inFlight: 100 },
    { name: `${name}, a channel each`, sockets, hasOwnChannels: true, inFlight: 100 },
    { name: `${name}, a channel each, one at a time`, sockets, hasOwnChannels: true, inFlight: 1 },
  ]
}

export const connect: Scenario<ConnectCase> = {
  name: 'connect',
  about: 'Sockets that connect and subscribe, 100 at a time: the cost of a new connection.',
  peers: ['broadcaster', 'broadcaster-base', 'socketio', 'ws8', 'express-ws', 'nchan', 'raw-write'],
  columns: [
    'cpuMsPerConnect',
    'userMsPerConnect',
    'redisMsPerConnect',
    'connectsPerSecond',
    'subscribedP50',
    'subscribedP99',
    'generatorLoad',
  ],
  cases: { smoke: casesOf(100), quick: casesOf(5000), full: casesOf(5000) },
  async run({ generator, server, peer, redisCpu }, { sockets, hasOwnChannels, inFlight }) {
    // A few sockets in another group warm the server up, because a server to which thousands connect is warm.
    const warm = Math.ceil(sockets / 10)
    const target = { port: server.port, dialect: peer.dialect, inFlight }
    const warmChannels = hasOwnChannels ? warm : 1
    await generator.call('open', 'warm', { ...target, connections: warm, channels: warmChannels })
    const generatorBefore = (await generator.call('cpu')).seconds
    const redisBefore = redisCpu()
    let opened = { seconds: 0, p50: 0, p99: 0 }
    const cpu = await cpuSecondsOf(server, async () => {
      // These channels are new: the sockets of the warm-up have others.
      const channels = hasOwnChannels ? { channels: sockets, firstChannel: warm } : { channels: 1 }
      opened = await generator.call('open', 'main', { ...target, ...channels, connections: sockets })
    })
    const redis = redisCpu()
    const generatorCpu = (await generator.call('cpu')).seconds - generatorBefore
    const redisSeconds = redis.user + redis.system - redisBefore.user - redisBefore.system
    return {
      cpuMsPerConnect: ((cpu.user + cpu.system) * 1000) / sockets,
      userMsPerConnect: (cpu.user * 1000) / sockets,
      redisMsPerConnect: (redisSeconds * 1000) / sockets,
      connectsPerSecond: sockets / opened.seconds,
      subscribedP50: opened.p50,
      subscribedP99: opened.p99,
      generatorLoad: generatorCpu / opened.seconds,
    }
  },
}
