import type { Scenario } from '../harness/scenario.ts'
import { cpuSecondsOf } from '../harness/session.ts'

export const connectPoll: Scenario<{ name: string; clients: number }> = {
  name: 'connect-poll',
  about: 'Long-poll clients that authenticate and subscribe to a channel of their own, 50 at a time.',
  peers: ['broadcaster', 'socketio'],
  columns: ['cpuMsPerConnect', 'userMsPerConnect', 'connectsPerSecond', 'generatorLoad'],
  cases: {
    smoke: [{ name: '50 clients', clients: 50 }],
    quick: [{ name: '2,000 clients', clients: 2000 }],
    full: [{ name: '2,000 clients', clients: 2000 }],
  },
  async run({ generator, server, peer }, { clients }) {
    const warm = Math.ceil(clients / 10)
    const target = { port: server.port, dialect: peer.poll!, channels: clients + warm }
    await generator.call('startPolls', { ...target, connections: warm })
    const generatorBefore = (await generator.call('cpu')).seconds
    let seconds = 0
    const cpu = await cpuSecondsOf(server, async () => {
      const options = { ...target, connections: clients, firstChannel: warm }
      seconds = (await generator.call('startPolls', options)).seconds
    })
    const generatorCpu = (await generator.call('cpu')).seconds - generatorBefore
    return {
      cpuMsPerConnect: ((cpu.user + cpu.system) * 1000) / clients,
      userMsPerConnect: (cpu.user * 1000) / clients,
      connectsPerSecond: clients / seconds,
      generatorLoad: generatorCpu / seconds,
    }
  },
}
