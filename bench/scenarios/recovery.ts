import { setTimeout as sleep } from 'node:timers/promises'
import type { Scenario } from '../harness/scenario.ts'
import { cpuSecondsOf } from '../harness/session.ts'

type RecoveryCase = {
  name: string
  clients: number
  rate: number
  awaySeconds: number
  to: 'restarted' | 'other'
}

export const recovery: Scenario<RecoveryCase> = {
  name: 'recovery',
  about:
    'Two nodes, and all clients on one of them, which is killed while messages are published. All clients reconnect at once, ' +
    'to the restarted node or to the other one.',
  // Both nodes relay, so Socket.IO without `local` would send every message twice.
  peers: ['broadcaster', 'socketio-local', 'ws8'],
  columns: ['backSeconds', 'backP50', 'backP99', 'cpuMsPerClient', 'recovered', 'gaps', 'lost', 'disorder'],
  cases: {
    smoke: [
      { name: '50 to the restarted node', clients: 50, rate: 20, awaySeconds: 0.5, to: 'restarted' },
      { name: '50 to the other node', clients: 50, rate: 20, awaySeconds: 0.5, to: 'other' },
    ],
    quick: [
      { name: '1,000 to the restarted node', clients: 1000, rate: 20, awaySeconds: 1, to: 'restarted' },
    ],
    full: [
      { name: '1,000 to the restarted node', clients: 1000, rate: 20, awaySeconds: 2, to: 'restarted' },
      { name: '1,000 to the other node', clients: 1000, rate: 20, awaySeconds: 2, to: 'other' },
    ],
  },
  async run(session, { clients, rate, awaySeconds, to }) {
    const { generator, server, peer } = session
    const other = await session.startServer()
    const common = { dialect: peer.dialect, channels: 1, keepPositions: peer.isOurs === true }
    await generator.call('open', 'main', { ...common, port: server.port, connections: clients })
    // The other node needs a subscriber of the channel, so that it has a log of it, like every node of a busy site.
    await generator.call('open', 'other', { ...common, port: other.port, connections: 1 })
    await generator.call('start', { channels: 1, fanOut: clients, rate })
    await sleep(1000)

    await server.kill()
    const [target] = await Promise.all([
      to === 'other' ? other : session.startServer(server.port),
      sleep(awaySeconds * 1000),
    ])
    let back = { seconds: 0, p50: 0, p99: 0, recovered: 0 }
    const cpu = await cpuSecondsOf(target, async () => {
      back = await generator.call('reopen', 'main', target.port)
    })
    await sleep(1000)
    const delivered = await generator.call('finish')
    const { gaps } = await generator.call('state', 'main')
    return {
      backSeconds: back.seconds,
      backP50: back.p50,
      backP99: back.p99,
      cpuMsPerClient: ((cpu.user + cpu.system) * 1000) / clients,
      recovered: back.recovered / clients,
      gaps,
      lost: delivered.lost,
      disorder: delivered.disorder,
    }
  },
}
