import { join } from 'node:path'
import { defaultServerConditions } from 'vite'
import { defineConfig } from 'vitest/config'
import { excluded, inFull } from './support/extent.ts'
import { SlowFirst } from './support/slowFirst.ts'

// The workspaces use the sources of each other, so no build is needed before a test.
const source = '@broadcaster/source'

// Without `module`, which is for bundlers: Node can't load what some packages have for them.
const conditions = [source, ...defaultServerConditions.filter((condition) => condition !== 'module')]

/** A slow machine is not a failure. A timeout only limits how long a test can hang. */
const TIMEOUT_MS = 240_000
const node = { environment: 'node', testTimeout: TIMEOUT_MS, hookTimeout: TIMEOUT_MS }

/**
 * They measure memory or hidden classes, replace the timers of the whole process, or use much of the machine for a long time.
 */
const alone = [
  'abuse/**/*.test.ts',
  'bench/**/*.test.ts',
  'chaos/**/*.test.ts',
  'simulation/**/*.test.ts',
  'soak/**/*.test.ts',
  'server/logMemory.test.ts',
  'server/neighbours.test.ts',
  // V8 gives up to share hidden classes after some hundred Express applications in one process.
  'server/requestClasses.test.ts',
]

/** Tests of the client that also run with the build of the package for production, in which names of properties are shortened. */
const inProduction = inFull(
  [
    'auto',
    'backoff',
    'blockedWebSockets',
    'channels',
    'connection',
    'disconnect',
    'inspection',
    'liveness',
    'longpoll',
    'messages',
    'overtaking',
    'positions',
    'realServer',
    'reentrancy',
    'refusedChannels',
    'renewal',
    'replay',
    'sharedTabs',
    'subscriptions',
    'tooManyRequests',
    'webSocketAgain',
  ],
  [
    'auto',
    'blockedWebSockets',
    'connection',
    'inspection',
    'longpoll',
    'positions',
    'realServer',
    'replay',
    'sharedTabs',
  ],
).map((name) => `client/${name}.test.ts`)
const productionBuild = join(
  import.meta.dirname,
  '.packed/node_modules/@broadcaster/client/dist/production/index.js',
)

const react = {
  include: ['react/**/*.test.{ts,tsx}'],
  environment: 'happy-dom',
  // As for the tests of Node: most of the CPU time was for loading React and the testing library once for each file.
  isolate: false,
  testTimeout: TIMEOUT_MS,
  hookTimeout: TIMEOUT_MS,
}

export default defineConfig({
  root: import.meta.dirname,
  cacheDir: 'node_modules/.vite',
  // These are the conditions of Node, also for the DOM tests. They use a real server in the same process, with the real `ws`.
  resolve: { conditions },
  ssr: {
    resolve: { conditions, externalConditions: [source, 'node'] },
  },
  test: {
    // Most tests wait most of the time, so there are more workers than cores. With too many, tests would time out. CI uses fewer,
    // because its machine is not known.
    maxWorkers: inFull(2, 6),
    sequence: { sequencer: SlowFirst },
    projects: [
      {
        extends: true,
        test: {
          ...node,
          name: 'node',
          include: ['**/*.test.ts'],
          exclude: [
            ...alone,
            ...excluded,
            'react/**',
            'browser/**',
            'packages/**',
            '.packed/**',
            'node_modules/**',
          ],
          // To start a process and to load all modules again for each file takes longer than most files. So a file has to
          // restore whatever it changes of the process.
          isolate: false,
        },
      },
      { extends: true, test: { ...node, name: 'node alone', include: alone } },
      { extends: true, test: { ...react, name: 'react 19', setupFiles: ['react/setup.ts'] } },
      {
        extends: true,
        resolve: {
          alias: [
            { find: /^react(?=\/|$)/, replacement: 'react18' },
            { find: /^react-dom(?=\/|$)/, replacement: 'react-dom18' },
          ],
        },
        test: { ...react, name: 'react 18', setupFiles: ['support/react18.ts', 'react/setup.ts'] },
      },
      {
        extends: true,
        test: {
          name: 'browser',
          include: ['browser/**/*.test.{ts,tsx}'],
          environment: 'node',
          testTimeout: TIMEOUT_MS,
          hookTimeout: TIMEOUT_MS,
          // As for the tests of Node. Vite and Playwright are large.
          isolate: false,
          // There is one Chromium at a time, and not beside other tests, because both need much CPU time.
          fileParallelism: false,
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        test: {
          name: 'packages',
          include: ['packages/*.test.ts', ...inProduction],
          exclude: excluded,
          // Tests of packages find them from a directory of their own. So this is only for those in `inProduction`.
          alias: { '@broadcaster/client': productionBuild },
          server: { deps: { inline: [/\.packed\/node_modules\/@broadcaster/] } },
          env: { BUILD: 'production' },
          environment: 'node',
          globalSetup: 'packages/setup.ts',
          testTimeout: 180_000,
          hookTimeout: 180_000,
          isolate: false,
          // Compilers and bundlers need much CPU time, too.
          fileParallelism: false,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
})
