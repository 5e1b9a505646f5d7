import { onlyIf } from './onlyIf.ts'

/**
 * `CI=1 npm test` is a full run. Other runs have every kind of check, but leave out repetitions: the same check with another
 * bundler, with another version of a dependency, with more seeds. This file is the only one that asks which run it is.
 */
const isFull = Boolean(process.env['CI'])

/** How much of a check runs: `all` in full runs, and `some` in others. */
export function inFull<All, Some>(all: All, some: Some): All | Some {
  return isFull ? all : some
}

export const fullRun = 'CI=1 npm test'

/** Options of a test that only full runs have. */
export const onlyFull = onlyIf(isFull, fullRun)

/** Files that only full runs have. */
export const excluded = inFull(
  [],
  [
    'conformance/redis.test.ts',
    'conformance/redisCluster.test.ts',
    'packages/consumers.test.ts',
    'packages/created.test.ts',
    'packages/examples.test.ts',
    'redises/servers.test.ts',
  ],
)

/** What other runs leave out, in words. Empty in full runs. */
export const leftOut = inFull(
  '',
  `Only ${fullRun} has: 2,000 seeds of the simulation instead of 42, all its mutations, the hooks with React 18, the conformance suite
with one node on Redis and with a Redis Cluster, the servers of docs/redis.md other than Redis 7, the demo with each backend over each
transport, the examples with Next, Vite and Jest, most tests of the client with its build for production, more bundlers, module systems
and versions of TypeScript, the projects of npm create with an installation by npm, the dry run of a release, the image, rolling
restarts of pods, containers and PM2, the site of the documents, more peers of the benchmarks, more messages while servers fail or are
restarted, and longer runs of chaos, abuse, soak and shared tabs.`,
)
