import express, { type RequestHandler, type Router } from 'express'
import type { Process } from './processes.ts'

/** What the page shows of the processes. */
export type ClusterState = {
  readonly nodes: readonly {
    readonly isRunning: boolean
    readonly pid: number | null
    /** Channels that would have a gap if this node was killed now. `null`: not known. */
    readonly uncopied: number | null
  }[]
  readonly redis: { readonly isRunning: boolean }
}

export type Node = { readonly port: number; readonly process: Process }

const PATIENCE_MS = 1_000

/**
 * `GET /` tells the state. `POST /nodes/0/kill`, `/nodes/0/restart`, `/nodes/0/start`, `/redis/stop` and `/redis/start` change it, and
 * answer with the new one.
 */
export function controlRoute(nodes: readonly Node[], redis: Process): Router {
  const state = async (): Promise<ClusterState> => ({
    nodes: await Promise.all(
      nodes.map(async ({ port, process: { isRunning, pid } }) => {
        const uncopied = isRunning ? await uncopiedAt(port) : null
        return { isRunning, pid, uncopied }
      }),
    ),
    redis: { isRunning: redis.isRunning },
  })
  const change =
    (
      act: (params: Record<string, string>) => Promise<void> | undefined,
    ): RequestHandler<Record<string, string>> =>
    async (request, response) => {
      await act(request.params)
      response.json(await state())
    }
  const node = (params: Record<string, string>) => nodes[Number(params['node'])]?.process

  return (
    express
      .Router()
      .get('/', async (_request, response) => void response.json(await state()))
      // Pages of other origins can't send this type without asking first.
      .use((request, response, next) => {
        if (request.is('application/json')) next()
        else response.status(415).json({ error: 'Expected Content-Type: application/json' })
      })
      .post(
        '/nodes/:node/kill',
        change((params) => node(params)?.end('SIGKILL')),
      )
      .post(
        '/nodes/:node/start',
        change((params) => node(params)?.start()),
      )
      .post(
        '/nodes/:node/restart',
        change(async (params) => {
          await node(params)?.end('SIGTERM')
          await node(params)?.start()
        }),
      )
      .post(
        '/redis/stop',
        change(() => redis.end('SIGKILL')),
      )
      .post(
        '/redis/start',
        change(() => redis.start()),
      )
  )
}

async function uncopiedAt(port: number): Promise<number | null> {
  try {
    const signal = AbortSignal.timeout(PATIENCE_MS)
    const answer = await fetch(`http://127.0.0.1:${port}/api/uncopied`, { signal })
    // Without Redis, a node does not know.
    return answer.ok ? (await answer.json()).channels : null
  } catch {
    // It was just killed.
    return null
  }
}
