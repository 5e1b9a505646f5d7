import { createHash } from 'node:crypto'
import { beaconScripts, HOLD, PUBLISH } from '../../../server/src/backends/beaconScripts.ts'
import { EPOCH_MS, isSameRun, RUNS } from '../../../server/src/channels/position.ts'
import type { Reply } from './resp.ts'
import type { Kind, Server } from './server.ts'

/** A script of the Redis backend, as the simulated servers execute it. */
interface Script {
  readonly hash: string
  run(server: Server, key: string, args: readonly string[]): Reply
}

const DAY_MS = 86_400_000

/** The key of the last beacon, and what a script makes of it. `overFloor` is a number whose run is over. See `beaconScripts.ts`. */
function read(
  server: Server,
  key: string,
  salt: string,
  overFloor?: number,
): { last: string; suffix: string; run: number; now: number } {
  const now = Math.max(0, Date.now() + server.clockMs - EPOCH_MS)
  const holder = `${server.runId}:${server.replId}`
  const [, last, before, stored] = /^(\d+) (\S+) (\d+)$/.exec(server.keys.get(key) ?? '') ?? []
  let since = before === holder ? stored! : String(now)
  const runSince = (): number => {
    const hash = createHash('sha1').update(`${key}${holder}${since}`).digest()
    return (hash.readUInt32BE(0) + Number(salt)) % RUNS
  }
  let run = runSince()
  for (let tries = 0; overFloor !== undefined && isSameRun(run, overFloor); tries++) {
    since = String(now + tries)
    run = runSince()
  }
  return { last: last ?? '0', suffix: ` ${holder} ${since}`, run, now }
}

const hold = (server: Server, key: string, [salt]: readonly string[]): Reply => {
  const { last, suffix, run } = read(server, key, salt!)
  server.write(key, last + suffix)
  return [server.runId, run]
}

const make =
  (kind: Kind) =>
  (server: Server, key: string, args: readonly string[]): Reply => {
    const [salt, floor, isOver, channel, before, after] = args as [
      string,
      string,
      string,
      string,
      string,
      string,
    ]
    const { last, suffix, run, now } = read(server, key, salt, isOver === '1' ? Number(floor) : undefined)
    const believed = (number: string): number => {
      const ms = Math.floor(Number(number) / RUNS)
      return ms <= now + DAY_MS ? ms : 0
    }
    const number = String(Math.max(now, believed(last) + 1, believed(floor) + 1) * RUNS + run)
    server.write(key, number + suffix)
    const receivers = server.publish(channel, before + number + after, kind)
    return [number, String(now + EPOCH_MS), receivers]
  }

const publish = (server: Server, _key: string, [channel, body]: readonly string[]): Reply =>
  server.publish(channel!, body!, 'classic')

const scripts = new Map<string, Script>()
for (const [text, run] of [
  [HOLD, hold],
  [PUBLISH, publish],
  [beaconScripts.shard.make, make('shard')],
  [beaconScripts.meeting.make, make('classic')],
] as const) {
  const script = { hash: createHash('sha1').update(text).digest('hex'), run }
  scripts.set(text, script)
  scripts.set(script.hash, script)
}

/** The script with this text or hash. The simulation knows only those of the servers of a Cluster. */
export function scriptOf(text: string): Script | undefined {
  return scripts.get(text)
}
