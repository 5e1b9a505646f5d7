import { defaultServerConditions } from 'vite'
import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

const source = '@broadcaster/source'
const conditions = [source, ...defaultServerConditions.filter((condition) => condition !== 'module')]

/** The fast tests of each workspace. They run in this order: the first that fails ends the run. */
const tests: Record<string, readonly string[]> = {
  protocol: ['protocol/**/*.test.ts', 'conformance/spec.test.ts'],
  channels: ['channels/**/*.test.ts'],
  client: ['client/**/*.test.ts'],
  server: [
    ...files('server', 'controlFields channelLog privateAddresses replayedControl'),
    ...files('server', 'options matching slotClaims databases redisReplies closing earlyEnd limitMetrics'),
    ...files('server', 'webSocketOption publishedBytes unauthenticated mounting refusals redisTargets'),
    ...files('simulation', 'beacons membership pollTime brokers/backend simulation'),
    ...files('server', 'health channels tooLarge callbacks contexts addresses ownMiddleware requestRate'),
    ...files('server', 'middleware badInput publishing upgrades payloads sharedRedis clock disconnecting'),
    ...files('conformance', 'memory'),
    ...files('server', 'controlMessages bodies limits missedRevocations secret revocation origins'),
    ...files('recovery', 'fencing beginnings lostAnswers orderCheck formerNode bounds boundedReplays'),
    ...files('recovery', 'pages backfill copyMessages movedChannel'),
    ...files('server', 'overtakenRequests backpressure openSockets'),
  ],
}
const chosen = tests[process.env['MUTATE'] ?? 'protocol']!

class InOrder extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number =>
      chosen.findIndex((file) => moduleId.endsWith(`/${file}`))
    return files.toSorted((a, b) => rank(a) - rank(b))
  }
}

/** For `npm run mutate`. */
export default defineConfig({
  root: import.meta.dirname,
  resolve: { conditions },
  ssr: {
    resolve: { conditions, externalConditions: [source, 'node'] },
  },
  test: {
    include: [...chosen],
    environment: 'node',
    // To load all modules again for each file would take longer than most files.
    isolate: false,
    sequence: { sequencer: InOrder },
    // The simulation runs one seed of each profile.
    env: { SIM_SEEDS: '1' },
    // Most changes that a test notices make it wait for something in vain.
    testTimeout: 15_000,
    hookTimeout: 15_000,
  },
})

function files(folder: string, names: string): string[] {
  return names.split(' ').map((name) => `${folder}/${name}.test.ts`)
}
