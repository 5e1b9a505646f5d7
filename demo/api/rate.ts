import express, { type Router } from 'express'
import { MOST_PER_SECOND, type Simulator } from '../simulator/simulator.ts'
import { asObject, parseJson, Refusal, sayWhatWentWrong } from './answer.ts'

/** `POST {"perSecond": 1000}` sets how much the simulator publishes. `GET` tells it. */
export function rateRoute(simulator: Simulator): Router {
  return express
    .Router()
    .get('/', (_request, response) => void response.json({ perSecond: simulator.perSecond }))
    .post('/', parseJson, async (request, response) => {
      const perSecond = Number(asObject(request.body)['perSecond'])
      if (!Number.isInteger(perSecond) || perSecond < 1 || perSecond > MOST_PER_SECOND)
        throw new Refusal(`Expected "perSecond": a whole number from 1 to ${MOST_PER_SECOND}`)
      await simulator.setRate(perSecond)
      response.status(204).end()
    })
    .use(sayWhatWentWrong)
}
