import { defaultServerConditions } from 'vite'
import { defineConfig } from 'vitest/config'
import { SlowFirst } from './support/slowFirst.ts'

// The workspaces use the sources of each other, so no build is needed before a test.
const source = '@broadcaster/source'

const react = {
  include: ['react/**/*.test.{ts,tsx}'],
  environment: 'happy-dom',
  testTimeout: 30_000,
  hookTimeout: 60_000,
}

export default defineConfig({
  root: import.meta.dirname,
  cacheDir: 'node_modules/.vite',
  // These are the conditions of Node, also for the DOM tests. They use a real server in the same process, with the real `ws`.
  resolve: { conditions: [source, ...defaultServerConditions] },
  ssr: {
    resolve: { conditions: [source, ...defaultServerConditions], externalConditions: [source, 'node'] },
  },
  test: {
    // Most tests wait most of the time, so there are more workers than cores. With too many, tests would time out. CI uses fewer,
    // because its machine is not known.
    maxWorkers: process.env['CI'] ? 2 : 3,
    sequence: { sequencer: SlowFirst },
    projects: [
      {
        extends: true,
        test: {
          name: 'node',
          include: ['**/*.test.ts'],
          exclude: ['react/**', 'browser/**', 'packages/**', '.packed/**', 'node_modules/**'],
          environment: 'node',
          testTimeout: 30_000,
          hookTimeout: 60_000,
        },
      },
      { extends: true, test: { ...react, name: 'react 19' } },
      {
        extends: true,
        resolve: {
          alias: [
            { find: /^react(?=\/|$)/, replacement: 'react18' },
            { find: /^react-dom(?=\/|$)/, replacement: 'react-dom18' },
          ],
        },
        test: { ...react, name: 'react 18', setupFiles: ['support/react18.ts'] },
      },
      {
        extends: true,
        test: {
          name: 'browser',
          include: ['browser/**/*.test.{ts,tsx}'],
          environment: 'node',
          testTimeout: 60_000,
          hookTimeout: 60_000,
          // There is one Chromium at a time, and not beside other tests, because both need much CPU time.
          fileParallelism: false,
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        test: {
          name: 'packages',
          include: ['packages/*.test.ts'],
          environment: 'node',
          globalSetup: 'packages/setup.ts',
          testTimeout: 180_000,
          hookTimeout: 180_000,
          // Compilers and bundlers need much CPU time, too.
          fileParallelism: false,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
})
