// @ts-nocheck
//
import { defaultServerConditions } from 'vite'
import { defineConfig } from 'vitest/config'

const source = '@broadcaster/source'

/** The fast tests of each workspace. */
const tests: Record<string, readonly string[]> = {
  protocol: ['protocol/**/*.test.ts', 'conformance/spec.test.ts'],
  client: ['client/**/*.test.ts'],
  server: [
    'conformance/{memory,redis}.test.ts',
    'server/{options,matching,limits,requestRate,addresses,secret,origins,bodies,callbacks,upgrades,stats,contexts}.test.ts',
    'recovery/{backfill,bounds,bursts,formerNode}.test.ts',
  ],
}

/** For `npm run mutate`. */
export default defineConfig({
  root: import.meta.dirname,
  resolve: { conditions: [source, ...defaultServerConditions] },
  ssr: {
    resolve: { conditions: [source, ...defaultServerConditions], externalConditions: [source, 'node'] },
  },
  test: {
    include: [...tests[process.env['MUTATE'] ?? 'protocol']!],
    environment: 'node',
    testTimeout: 15_000,
    hookTimeout: 15_000,
  },
})
