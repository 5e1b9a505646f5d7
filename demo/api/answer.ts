import express, { type ErrorRequestHandler, type RequestHandler } from 'express'

/** Any Content-Type is accepted, so that `curl -d '{...}'` needs no header. */
export const parseJson: RequestHandler = express.json({ type: () => true })

/** An error whose message and status are the answer. */
export class Refusal extends Error {
  readonly status: number

  constructor(message: string, status = 400) {
    super(message)
    this.status = status
  }
}

export const sayWhatWentWrong: ErrorRequestHandler = (error, _request, response, _next) => {
  const fromParser = error.type === 'entity.parse.failed'
  // Errors of the parser and refusals have a status. All other errors here come from the broker.
  const status = typeof error.status === 'number' ? error.status : 503
  response
    .status(status)
    .json({ error: fromParser ? `The body is not JSON: ${error.message}` : error.message })
}

export function asObject(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}
