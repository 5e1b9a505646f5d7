import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'

it('openTelemetry() has the metrics in the SDK until the broadcaster is closed, and refuses what it cannot export', async () => {
  const main = join(import.meta.dirname, '..', 'support', 'openTelemetryMain.ts')
  const args = ['--conditions=@broadcaster/source', '--import', 'tsx', main]
  const env = { ...process.env, NODE_OPTIONS: '' }
  const { stdout } = await promisify(execFile)(process.execPath, args, {
    env,
    cwd: join(import.meta.dirname, '..'),
  })
  const channels = { unit: '{channels}', value: 0 }
  expect(JSON.parse(stdout)).toEqual({
    both: [
      { broadcaster: 'news', ...channels },
      { broadcaster: 'chat', ...channels },
    ],
    clients: ['news', 'chat'].flatMap((broadcaster) =>
      ['websocket', 'longpoll'].map((transport) => ({ broadcaster, transport, unit: '{clients}', value: 0 })),
    ),
    sent: ['news', 'chat'].flatMap((broadcaster) =>
      ['websocket', 'longpoll'].map((transport) => ({ broadcaster, transport, unit: 'By', value: 0 })),
    ),
    second: [{ broadcaster: 'chat', ...channels }],
    none: [],
    isSame: true,
    ofGlobal: [{ unit: '{state}', value: 1 }],
    sameName: expect.stringContaining('another broadcaster has the name "chat"'),
    noBroadcaster: expect.stringContaining('expected what broadcaster() returns'),
    noMeter: expect.stringContaining('meter: expected a Meter'),
  })
})
