import type { Scenario } from '../harness/scenario.ts'
import { cpuSecondsOf } from '../harness/session.ts'

export const connect: Scenario<{ name: string; sockets: number }> = {
  name: 'connect',
  about: 'Sockets that connect and subscribe, 100 at a time: the cost of a new connection.',
  peers: ['broadcaster', 'socketio', 'ws8', 'express-ws', 'nchan', 'raw-write'],
  columns: ['cpuMsPerConnect', 'connectsPerSecond', 'generatorLoad'],
  cases: {
    smoke: [{ name: '100 sockets', sockets: 100 }],
    quick: [{ name: '5,000 sockets', sockets: 5000 }],
    full: [{ name: '5,000 sockets', sockets: 5000 }],
  },
  async run({ generator, server, peer }, { sockets }) {
    // A few sockets in another group warm the server up, because a server to which thousands connect is warm.
    const target = { port: server.port, dialect: peer.dialect, channels: 1 }
    await generator.call('open', 'warm', { ...target, connections: Math.ceil(sockets / 10) })
    const generatorBefore = (await generator.call('cpu')).seconds
    let seconds = 0
    const cpu = await cpuSecondsOf(server, async () => {
      seconds = (await generator.call('open', 'main', { ...target, connections: sockets })).seconds
    })
    const generatorCpu = (await generator.call('cpu')).seconds - generatorBefore
    return {
      cpuMsPerConnect: (cpu * 1000) / sockets,
      connectsPerSecond: sockets / seconds,
      generatorLoad: generatorCpu / seconds,
    }
  },
}
