import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * `npm run mutate` changes the code of one workspace, and counts the changes that no test notices. In the environment: `MUTATE` is
 * the workspace (default `protocol`), `LINES` the number of its lines that are changed, chosen by `SEED` (default all), and `FOLDERS`
 * the names of the folders with these lines (default all). The tests are those of `test/vitest.mutate.config.ts`.
 */
const { MUTATE: workspace = 'protocol', LINES: lines, SEED: seed = '1', FOLDERS: folders } = process.env

export default {
  testRunner: 'vitest',
  // Stryker knows from its first run which tests execute a line. It need not ask Vite again for each change.
  vitest: { configFile: 'test/vitest.mutate.config.ts', related: false },
  mutate: lines === undefined ? [`${workspace}/src/**/*.ts`] : sample(Number(lines)),
  inPlace: true,
  // Vite does not check types, and otherwise Stryker writes a comment into each file of the repository.
  disableTypeChecks: false,
  // Most tests wait most of the time.
  concurrency: 2,
  coverageAnalysis: 'perTest',
  ignoreStatic: true,
  // Texts of errors and logs are not what the tests are for.
  mutator: { excludedMutations: ['StringLiteral'] },
  timeoutMS: 20_000,
  dryRunTimeoutMinutes: 20,
  reporters: ['clear-text', 'progress-append-only'],
  tempDirName: 'node_modules/.stryker',
  allowEmpty: false,
}

/** Ranges of one line each, chosen at random from all lines of the folders that have code. */
function sample(count) {
  const root = join(workspace, 'src')
  const code = readdirSync(root, { recursive: true })
    .filter((name) => name.endsWith('.ts'))
    .filter((name) => folders?.split(',').includes(name.split('/')[0]) ?? true)
    .toSorted()
    .flatMap((name) => {
      const path = join(root, name)
      return readFileSync(path, 'utf8')
        .split('\n')
        .map((text, i) => ({ text: text.trim(), range: `${path}:${i + 1}-${i + 1}` }))
    })
    .filter(
      ({ text }) => /[a-z]/i.test(text) && !/^(\/\/|\/?\*|import |export type|readonly \w+:)/.test(text),
    )
    .map(({ range }) => range)
  // The generator of Park and Miller: the same lines for the same seed, on every machine.
  let state = Number(seed)
  const chosen = []
  while (chosen.length < Math.min(count, code.length)) {
    state = (state * 48_271) % 2_147_483_647
    chosen.push(...code.splice(state % code.length, 1))
  }
  return chosen
}
