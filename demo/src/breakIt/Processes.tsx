import type { ClusterState } from '../../cluster/control.ts'
import { useCluster } from './useCluster.ts'

/** The nodes and Redis. */
export function Processes({ isAvailable }: { isAvailable: boolean }) {
  const { state, busy, run } = useCluster(isAvailable)
  const isIdle = state !== null && busy === null
  const redisRuns = state?.redis.isRunning ?? false

  return (
    <div className="processes" role="group" aria-label="Processes" data-available={isAvailable}>
      <ul>
        {[0, 1].map((i) => {
          const node = state?.nodes[i]
          const name = `Node ${i + 1}`
          const path = `/nodes/${i}`
          return (
            <li key={i} className="process">
              <Light isOn={node?.isRunning} />
              <span className="process__name">{name}</span>
              <span className="process__state">
                {busy?.startsWith(path) ? 'one moment…' : node ? nodeWord(node) : '–'}
              </span>
              <button
                type="button"
                className="button button--small"
                disabled={!isIdle || !node?.isRunning}
                onClick={() => void run({ path: `${path}/kill`, cause: `Killed ${name.toLowerCase()}` })}
              >
                Kill<span className="visually-hidden"> {name}</span>
              </button>
              {node && !node.isRunning ? (
                <button
                  type="button"
                  className="button button--small"
                  disabled={!isIdle}
                  onClick={() =>
                    void run({ path: `${path}/start`, cause: `Started ${name.toLowerCase()}`, isEnd: true })
                  }
                >
                  Start<span className="visually-hidden"> {name}</span>
                </button>
              ) : (
                <button
                  type="button"
                  className="button button--small"
                  disabled={!isIdle}
                  onClick={() =>
                    void run({ path: `${path}/restart`, cause: `Restarted ${name.toLowerCase()}` })
                  }
                >
                  Restart<span className="visually-hidden"> {name}</span>
                </button>
              )}
            </li>
          )
        })}
        <li className="process">
          <Light isOn={state?.redis.isRunning} />
          <span className="process__name">Redis</span>
          <span className="process__state">
            {busy?.startsWith('/redis') ? 'one moment…' : state ? (redisRuns ? 'running' : 'down') : '–'}
          </span>
          <button
            type="button"
            className="button button--small"
            disabled={!isIdle || !redisRuns}
            onClick={() => void run({ path: '/redis/stop', cause: 'Stopped Redis', lasts: true })}
          >
            Stop<span className="visually-hidden"> Redis</span>
          </button>
          <button
            type="button"
            className="button button--small"
            disabled={!isIdle || redisRuns}
            onClick={() => void run({ path: '/redis/start', cause: 'Started Redis', isEnd: true })}
          >
            Start<span className="visually-hidden"> Redis</span>
          </button>
        </li>
      </ul>
      <p className="text processes__hint">
        {isAvailable ? (
          'Kill is kill -9, and loses nothing that another node has copied. Without Redis, nobody can publish.'
        ) : (
          <>
            One process has no other node and no Redis to break. For that: <code>npm run demo:cluster</code>
          </>
        )}
      </p>
    </div>
  )
}

function Light({ isOn }: { isOn: boolean | undefined }) {
  return <span className="light" data-on={isOn} aria-hidden="true" />
}

function nodeWord({ isRunning, pid, uncopied }: ClusterState['nodes'][number]): string {
  if (!isRunning) return 'down'
  return uncopied ? `pid ${pid}, ${uncopied} uncopied` : `pid ${pid}`
}
