import { defaultServerConditions } from 'vite'
import { defineConfig } from 'vitest/config'

const source = '@broadcaster/source'

/** For `npm run mutate`: the fast tests of the modules that it changes. */
export default defineConfig({
  root: import.meta.dirname,
  resolve: { conditions: [source, ...defaultServerConditions] },
  ssr: {
    resolve: { conditions: [source, ...defaultServerConditions], externalConditions: [source, 'node'] },
  },
  test: { include: ['protocol/**/*.test.ts', 'conformance/spec.test.ts'], environment: 'node' },
})
