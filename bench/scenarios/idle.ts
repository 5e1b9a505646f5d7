import { setTimeout as sleep } from 'node:timers/promises'
import type { Scenario } from '../harness/scenario.ts'

export const idle: Scenario<{ name: string; sockets: number; settleSeconds: number }> = {
  name: 'idle',
  about:
    'Sockets of one channel that connect, subscribe and then do nothing: the memory of the server for each of them.',
  peers: ['broadcaster', 'broadcaster-no-recovery', 'socketio', 'ws8', 'express-ws', 'nchan', 'raw-write'],
  quickPeers: ['broadcaster', 'socketio', 'ws8', 'express-ws', 'nchan', 'raw-write'],
  columns: ['kbPerConnection', 'heapKbPerConnection', 'rssMb'],
  cases: {
    smoke: [{ name: '100 sockets', sockets: 100, settleSeconds: 0.2 }],
    quick: [{ name: '5,000 sockets', sockets: 5000, settleSeconds: 3 }],
    full: [
      { name: '5,000 sockets', sockets: 5000, settleSeconds: 3 },
      { name: '10,000 sockets', sockets: 10_000, settleSeconds: 3 },
    ],
  },
  async run(session, { sockets, settleSeconds }) {
    const { server } = session
    const heapBefore = await server.heap()
    const rssBefore = server.rss()
    await session.open(sockets)
    await sleep(settleSeconds * 1000)
    // Resident memory first, as an operator sees it. The collection before the heap is measured would change it.
    const rss = server.rss()
    const heap = await server.heap()
    return {
      kbPerConnection: (rss - rssBefore) / 1024 / sockets,
      ...(heap !== undefined && { heapKbPerConnection: (heap - heapBefore!) / 1024 / sockets }),
      rssMb: rss / 1e6,
    }
  },
}
