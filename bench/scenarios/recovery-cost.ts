import { flood } from '../harness/flood.ts'
import type { Figures } from '../harness/figures.ts'
import type { Scenario } from '../harness/scenario.ts'
import type { Session } from '../harness/session.ts'

type Load = { name: string; sockets: number; channels: number; window: number }
type Memory = { name: string; channels: number; messagesEach: number }

const loads: readonly Load[] = [
  { name: 'bursts 1 x 1,000', sockets: 1000, channels: 1, window: 32 },
  { name: 'single 1 x 1,000', sockets: 1000, channels: 1, window: 1 },
  { name: 'channels 1,000 x 1', sockets: 1000, channels: 1000, window: 256 },
]

export const recoveryCost: Scenario<Load | Memory> = {
  name: 'recovery-cost',
  about:
    'The cost of logs and positions, compared with the same server without them: CPU for a delivery, memory for a channel.',
  peers: ['broadcaster', 'broadcaster-no-recovery'],
  columns: [
    'cpuPerMillion',
    'userPerMillion',
    'systemPerMillion',
    'kbPerIdleChannel',
    'kbPerFullChannel',
    'rssMb',
  ],
  cases: {
    smoke: [
      { name: 'bursts 1 x 50', sockets: 50, channels: 1, window: 32 },
      { name: 'single 1 x 50', sockets: 50, channels: 1, window: 1 },
      { name: 'channels 50 x 1', sockets: 50, channels: 50, window: 16 },
      { name: 'memory 50 channels', channels: 50, messagesEach: 10 },
    ],
    quick: [...loads, { name: 'memory 1,000 channels', channels: 1000, messagesEach: 100 }],
    full: [...loads, { name: 'memory 5,000 channels', channels: 5000, messagesEach: 100 }],
  },
  run: (session, options) => ('window' in options ? flood(session, options) : memory(session, options)),
}

/**
 * The heap after a garbage collection at each step: with sockets of one channel, with as many sockets of a channel each, and
 * with messages in each channel.
 */
async function memory(
  { generator, server, peer }: Session,
  { channels, messagesEach }: Memory,
): Promise<Figures> {
  const target = { port: server.port, dialect: peer.dialect, connections: channels }
  // The first sockets warm the server up. Otherwise, what it compiles and allocates once would count as memory of the sockets.
  await generator.call('open', 'warm', { ...target, channels: 1 })
  const empty = await server.heap()
  await generator.call('open', 'one channel', { ...target, channels: 1 })
  const oneChannel = await server.heap()
  await generator.call('open', 'main', { ...target, channels })
  const idle = await server.heap()
  const rssMb = server.rss() / 1e6
  // Channel 0 also has the sockets of the first step. They are in another group, so their deliveries are not counted.
  const messages = channels * messagesEach
  await generator.call('flood', { channels, fanOut: 1, window: 256, seconds: 60, messages })
  const full = await server.heap()
  const perChannel = (bytes: number) => bytes / 1024 / channels
  const socketsOnly = oneChannel! - empty!
  return {
    kbPerIdleChannel: perChannel(idle! - oneChannel! - socketsOnly),
    kbPerFullChannel: perChannel(full! - oneChannel! - socketsOnly),
    rssMb,
  }
}
