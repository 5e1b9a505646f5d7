import express, { type RequestHandler, type Router } from 'express'
import type { Process } from './processes.ts'

/** What the page shows of the processes. */
export type ClusterState = {
  readonly nodes: readonly { readonly isRunning: boolean; readonly pid: number | null }[]
  readonly redis: { readonly isRunning: boolean }
}

/**
 * `GET /` tells the state. `POST /nodes/0/kill`, `/nodes/0/restart`, `/nodes/0/start`, `/redis/stop` and `/redis/start` change it, and
 * answer with the new one.
 */
export function controlRoute(nodes: readonly Process[], redis: Process): Router {
  const state = (): ClusterState => ({
    nodes: nodes.map(({ isRunning, pid }) => ({ isRunning, pid })),
    redis: { isRunning: redis.isRunning },
  })
  const change =
    (
      act: (params: Record<string, string>) => Promise<void> | undefined,
    ): RequestHandler<Record<string, string>> =>
    async (request, response) => {
      await act(request.params)
      response.json(state())
    }
  const node = (params: Record<string, string>) => nodes[Number(params['node'])]

  return (
    express
      .Router()
      .get('/', (_request, response) => void response.json(state()))
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
