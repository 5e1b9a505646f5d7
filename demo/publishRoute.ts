import express, { type ErrorRequestHandler, type RequestHandler, type Router } from 'express'

type Publish = (channel: string, body: unknown) => Promise<unknown>

/** `POST {"channel": "news", "body": "hello"}` publishes. The answer to an invalid request is a 400 with the reason. */
export function publishRoute(publish: Publish): Router {
  const answer: RequestHandler = async (request, response) => {
    const { channel, body } = asObject(request.body)
    if (typeof channel !== 'string') {
      response.status(400).json({ error: 'Expected a JSON object whose "channel" is a string' })
    } else if (body === undefined) {
      response.status(400).json({ error: 'Expected a "body": a string, or any other JSON' })
    } else {
      await publish(channel, body)
      response.status(204).end()
    }
  }
  // Any Content-Type is accepted, so that `curl -d '{...}'` needs no header.
  const parseJson = express.json({ type: () => true })
  return express.Router().post('/', parseJson, answer, sayWhatWentWrong)
}

const sayWhatWentWrong: ErrorRequestHandler = (error, _request, response, _next) => {
  const fromParser = error.type === 'entity.parse.failed'
  // Errors of the parser have a status. All other errors here come from the broker.
  const status = typeof error.status === 'number' ? error.status : 503
  response
    .status(status)
    .json({ error: fromParser ? `The body is not JSON: ${error.message}` : error.message })
}

function asObject(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}
