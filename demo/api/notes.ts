import express, { type Router } from 'express'
import type { Tokens } from '../tokens.ts'
import { asObject, parseJson, Refusal, sayWhatWentWrong } from './answer.ts'

const LONGEST_TEXT = 280

type Note = { author: string; text: string; at: number }

/** `POST {"text": "hello"}` publishes a note. Its author is the user of the token, or a guest. */
export function notesRoute(tokens: Tokens, publish: (note: Note) => Promise<unknown>): Router {
  return express
    .Router()
    .post('/', parseJson, async (request, response) => {
      const { text } = asObject(request.body)
      if (typeof text !== 'string' || text.trim() === '' || text.length > LONGEST_TEXT)
        throw new Refusal(`Expected a "text" with at most ${LONGEST_TEXT} characters`)
      const author = await authorOf(request.headers.authorization, tokens)
      await publish({ author, text: text.trim(), at: Date.now() })
      response.status(204).end()
    })
    .use(sayWhatWentWrong)
}

async function authorOf(authorization: string | undefined, tokens: Tokens): Promise<string> {
  if (authorization === undefined) return 'guest'
  try {
    return (await tokens.verify(authorization.replace(/^Bearer /, ''))).user.name
  } catch (error) {
    throw new Refusal(`The token is not accepted: ${(error as Error).message}`, 401)
  }
}
