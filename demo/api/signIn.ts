import express, { type Router } from 'express'
import { roles, type Role, type Tokens } from '../tokens.ts'
import { asObject, parseJson, Refusal, sayWhatWentWrong } from './answer.ts'

const LONGEST_NAME = 40

/**
 * `POST {"name": "alice", "role": "trader"}` answers with a token and how long it is valid. It asks for no password: this is a demo.
 */
export function signInRoute(tokens: Tokens): Router {
  return express
    .Router()
    .post('/', parseJson, async (request, response) => {
      const { name, role } = asObject(request.body)
      if (typeof name !== 'string' || name.trim() === '' || name.length > LONGEST_NAME)
        throw new Refusal(`Expected a "name" with at most ${LONGEST_NAME} characters`)
      if (!roles.includes(role as Role)) throw new Refusal(`Expected a "role": ${roles.join(' or ')}`)
      response.json(await tokens.sign({ name: name.trim(), role: role as Role }))
    })
    .use(sayWhatWentWrong)
}
