import express, { type Router } from 'express'
import { channels } from '../channels.ts'
import { asObject, parseJson, Refusal, sayWhatWentWrong } from './answer.ts'

type Publish = (channel: string, body: string) => Promise<unknown>

/** `POST {"channel": "news", "body": "hello"}` publishes. The answer to an invalid request is a 400 with the reason. */
export function publishRoute(publish: Publish): Router {
  return express
    .Router()
    .post('/', parseJson, async (request, response) => {
      const { channel, body } = asObject(request.body)
      if (typeof channel !== 'string') throw new Refusal('Expected a JSON object whose "channel" is a string')
      if (body === undefined) throw new Refusal('Expected a "body": a string, or any other JSON')
      if (channels.match(channel)?.key !== '{channel}')
        throw new Refusal(`Not everybody may publish to "${channel}"`)
      await publish(channel, typeof body === 'string' ? body : JSON.stringify(body))
      response.status(204).end()
    })
    .use(sayWhatWentWrong)
}
